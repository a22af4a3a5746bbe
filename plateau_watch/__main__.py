"""`python -m plateau_watch` is `plateau-watch`."""

from plateau_watch.interruption import end_when_interrupted


def run() -> None:
    """Run the command and end the process."""
    end_when_interrupted()
    from plateau_watch.commands import main  # noqa: PLC0415  Ctrl-C while it is loaded is quiet too

    main(prog_name="plateau-watch")


if __name__ == "__main__":
    run()
