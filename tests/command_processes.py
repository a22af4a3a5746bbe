"""The command in real processes of its own, many of them: forked from one that has loaded it.

Loading takes most of a short command's time. So one process loads it and forks a child for each
call, and the child is signalled, limited or starved like any other.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def sent_to_terminal(descriptor: int) -> bytes:
    """Read what is left of what went to a terminal, from its other end, and close that."""
    sent = b""
    try:
        while block := os.read(descriptor, 65536):
            sent += block
    except OSError:
        pass  # how a Linux terminal says that its other end is closed
    os.close(descriptor)
    return sent


SERVER = """
import json, os, resource, signal, sys, time
import plateau_watch.commands, tensorboard.compat.proto.event_pb2
from plateau_watch.__main__ import run
from plateau_watch.interruption import end_when_interrupted

end_when_interrupted()  # a child has it from its first instruction on

def child(call):
    for target, name in ((1, call["stdout"]), (2, call["stderr"])):
        if name == "a closed pipe":
            reading, writing = os.pipe()
            os.close(reading)
        else:
            writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(writing, target)
    if call["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (call["file_size"], call["file_size"]))
    if call["user"] is not None:
        os.setegid(call["user"])
        os.seteuid(call["user"])
    sys.argv = ["plateau-watch", *map(os.fsdecode, map(bytes.fromhex, call["arguments"]))]
    try:
        run()
    except SystemExit as end:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(end.code or 0)

for line in sys.stdin:
    call = json.loads(line)
    started = time.monotonic()
    pid = os.fork()
    if not pid:
        try:
            child(call)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(70)
    if call["signal"] is not None:
        time.sleep(call["after"])
        try:
            os.kill(pid, call["signal"])
        except ProcessLookupError:
            pass
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"code": code, "seconds": time.monotonic() - started}), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a call ended: exit code, or minus the signal; what it said; how long it took."""

    code: int
    stdout: str
    stderr: str
    seconds: float


BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
"""An environment in which Python buffers, as it does for users; what fails, fails late then."""

CLOSED_PIPE = "a closed pipe"
"""Where standard output or error can go: a pipe that nobody reads."""


class Calls:
    """Calls of the command, one after the other."""

    def __init__(self, server, directory):
        self._server = server
        self._directory = directory

    def call(
        self, *arguments, send=None, after=0.0, file_size=None, user=None, stdout=None, stderr=None
    ):
        """Run `plateau-watch ARGUMENTS`.

        Args:
            arguments: as given; paths may hold any bytes.
            send: a signal that it gets.
            after: seconds until then.
            file_size: bytes that a file can grow to at most.
            user: the number of the user that it runs as, where this one may choose.
            stdout: a file to write to, such as /dev/full, or CLOSED_PIPE; one of its own if absent.
            stderr: likewise.
        """
        kept = [self._directory / name for name in ("stdout", "stderr")]
        said = {
            "arguments": [_bytes(each).hex() for each in arguments],
            "signal": send,
            "after": after,
            "file_size": file_size,
            "user": user,
            "stdout": str(stdout or kept[0]),
            "stderr": str(stderr or kept[1]),
        }
        self._server.stdin.write(json.dumps(said) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        texts = [
            "" if other else path.read_bytes().decode()
            for path, other in zip(kept, (stdout, stderr), strict=True)
        ]
        return Ended(answer["code"], *texts, answer["seconds"])


def _bytes(argument):
    return str(argument).encode("utf-8", errors="surrogateescape")


@contextmanager
def calls(directory: Path):
    """Yield `Calls`, which keeps what they say in a directory."""
    command = [sys.executable, "-c", SERVER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=BUFFERED, **pipes) as server:
        yield Calls(server, directory)
        server.stdin.close()
