"""plateau_watch_command: the script `plateau-watch`; Ctrl-C ends it quietly from the first moment.

A module of its own, beside the package: loading the package takes a good part of a second, in
which Python would answer Ctrl-C with a traceback.
"""

import os
import signal


def run() -> None:
    """Run the command and end the process."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from plateau_watch.__main__ import run as run_it  # noqa: PLC0415  only now

    run_it()
