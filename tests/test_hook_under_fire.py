"""10,000 steps under every kind of fault: each LR and state is that of an unwatched scheduler."""

import copy
import errno
import pickle
import random
import resource
import shutil

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from tests.hooked_runs import (
    Faulty,
    all_warnings,
    event_files,
    replayed,
    scheduler_with,
    set_lr,
    watch_warnings,
)

STEPS = 10_000


class NotANumber:
    def __float__(self):
        raise LookupError("the user's own")


class CannotBeSaidError(Exception):
    def __str__(self):
        raise RuntimeError("not even what it is")


RAISED = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EROFS, "Read-only file system"),
    OSError(errno.EIO, "Input/output error"),
    PermissionError(errno.EACCES, "Permission denied"),
    RuntimeError("a bug in the writer"),
    MemoryError(),
    RecursionError("too deep"),
    UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    CannotBeSaidError(),
]
"""What a writer may raise. It is a mock that does: there is no disk at hand that has all of it."""


class Fire:
    """A watched scheduler and its unwatched twin, treated alike, and what befalls the watched one.

    A fault is switched on and off again by a function; there is one at a time, for some 50 steps.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        parameters = {"patience": 2, "cooldown": 1, "factor": 0.9, "eps": 0.0}
        self.plain, self.hooked = (scheduler_with(**parameters) for _ in range(2))
        self.both = (self.plain, self.hooked)
        self.taken = 0
        self.axis_is_broken = False
        self.faults = {"axis": self.break_axis, "factor": self.break_factor}

    def axis(self):
        return 1 // 0 if self.axis_is_broken else self.taken

    def break_axis(self, broken):
        self.axis_is_broken = broken

    def break_factor(self, broken):
        """A parameter that torch goes on with and that means nothing to us."""
        for scheduler in self.both:
            scheduler.factor = 1.5 if broken else 0.9

    def train(self):
        """The last hundred steps are without faults."""
        switch, left = None, {*self.faults}
        for count in range(STEPS):
            if count % 50 == 0:
                if switch is not None:
                    switch(False)
                name = self.random.choice([*self.faults, None]) if count < STEPS - 100 else None
                left.discard(name)
                switch = self.faults.get(name)
                if switch is not None:
                    switch(True)
                self.meddle()
            self.step()
            self.assert_alike()
        assert left == set(), "there was each kind of fault"

    def step(self):
        metric = self.random.choice([self.random.random(), self.taken % 50 / 50, float("nan")])
        if self.random.random() < 0.01:
            for scheduler in self.both:
                with pytest.raises(LookupError, match="the user's own"):
                    scheduler.step(NotANumber())
        self.taken += 1
        for scheduler in self.both:
            scheduler.step(metric)

    def meddle(self):
        """What users do in the middle of a training."""
        state = copy.deepcopy(self.plain.state_dict())
        what = self.random.choice(["load", "lr", "patience", "copy", "nothing"])
        for scheduler in self.both:
            if what == "load":
                scheduler.load_state_dict({**state, "num_bad_epochs": 0})
            elif what == "lr":
                set_lr(scheduler, 0.1)
            elif what == "patience":
                scheduler.patience = state["patience"] % 3 + 1
            elif what == "copy":
                for twin in (copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))):
                    assert type(twin) is ReduceLROnPlateau

    def assert_alike(self):
        plain, hooked = (
            pickle.dumps([scheduler.state_dict(), scheduler.optimizer.state_dict()])
            for scheduler in self.both
        )
        assert hooked == plain


def assert_each_kind_was_said_once(caught, *kinds):
    assert watch_warnings(caught) == caught, "there is no other warning"
    said = [str(warning.message).partition(" (")[2].partition(");")[0] for warning in caught]
    assert sorted(said) == sorted(kinds)


def assert_the_log_tells_what_it_lacks(logdir, taken):
    report = replayed(logdir)
    rows = report.recording.rows
    missing = rows[0].number - 1 + sum(change.missing for change in report.recording.changes)
    assert report.parity.exact
    assert len(rows) + missing == taken
    assert [row.number for row in rows[-100:]] == [*range(taken - 99, taken + 1)], "it recovered"
    assert any("missing from the trace" in warning for warning in report.warnings)


ALWAYS = (
    "ZeroDivisionError: integer division or modulo by zero",
    "ConfigError: factor must be below 1, got 1.5",
)


def test_a_writer_that_raises_all_sorts_of_things_changes_no_lr_and_recovers(tmp_path):
    fire = Fire(1)
    with SummaryWriter(str(tmp_path)) as writer, all_warnings() as caught:
        file_writer = Faulty(writer)
        for number, error in enumerate(RAISED):
            fire.faults[number] = lambda broken, error=error: setattr(
                file_writer, "fault", error if broken else None
            )
        with watch(fire.hooked, writer, step=fire.axis):
            fire.train()
    said = [f"{type(error).__name__}: {error}" for error in RAISED[:-1]]
    assert_each_kind_was_said_once(caught, *said, "CannotBeSaidError: it cannot say what", *ALWAYS)
    assert_the_log_tells_what_it_lacks(tmp_path, fire.taken)


def test_a_disk_that_fills_up_and_a_log_that_is_deleted_change_no_lr_and_recover(tmp_path):
    fire = Fire(3)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(broken):
        """The kernel refuses to let files grow, as on a full disk."""
        sizes = [path.stat().st_size for path in event_files(tmp_path)]
        limit = (max(sizes, default=0), unlimited[1]) if broken else unlimited
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    def delete(broken):
        if broken and fire.taken < STEPS / 2:
            shutil.rmtree(tmp_path / "log", ignore_errors=True)

    fire.faults |= {"full": fill, "deleted": delete}
    try:
        with all_warnings() as caught, watch(fire.hooked, tmp_path / "log", step=fire.axis):
            fire.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert_each_kind_was_said_once(
        caught,
        "OSError: [Errno 27] File too large",
        f"FileNotFoundError: [Errno 2] the event file was deleted: '{tmp_path}/log/plateau'",
        *ALWAYS,
    )
    assert_the_log_tells_what_it_lacks(tmp_path, fire.taken)
