"""`python -m plateau_watch` is `plateau-watch`."""

from plateau_watch.commands import main

main(prog_name="plateau-watch")
