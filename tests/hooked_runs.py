"""What the tests of the hook share: trainings that are watched, faults, and what is on disk then.

Events are read here with TensorBoard's own loader, so that our reader is not its own witness;
recorded traces are read with ours.
"""

import io
import json
import struct
import subprocess
import sys
import textwrap
import warnings
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorboardX
import torch
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.comparison import compare
from plateau_watch.events.logdir import discover
from plateau_watch.events.run_reader import read_run
from plateau_watch.recorder import PlateauWatchWarning
from plateau_watch.recording import from_trace
from tests.strategies import configs, learning_rates, lr_dtypes, metrics
from tests.torch_oracle import as_lr, lrs_of, torch_scheduler

WRITERS = ("torch", "tensorboardX", "directory")

METRIC = [1.0, 0.5, 0.5, 0.75, 0.5, 0.25, 0.5, 0.5, 0.375, 0.25, 0.25, 0.5]
"""With patience=1 torch reduces at steps 4, 8, 10 and 12. All values are float32s."""


def scheduler_with(kind=ReduceLROnPlateau, lrs=(0.1,), names=None, **parameters):
    """A scheduler of a class, over an optimizer with one parameter in each group."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    for group, name in zip(groups, names or (), strict=False):
        group["name"] = name
    return kind(torch.optim.SGD(groups, lr=0.1), **parameters)


def set_lr(scheduler, lr):
    for group in scheduler.optimizer.param_groups:
        group["lr"] = lr


def add_group(scheduler, lr):
    scheduler.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr})


def lrs_after(metric, **parameters):
    """LR of the one group after each step of an unwatched scheduler."""
    scheduler = scheduler_with(**parameters)
    lrs = []
    for value in metric:
        scheduler.step(value)
        lrs.append(lrs_of(scheduler)[0])
    return lrs


@contextmanager
def opened(kind, directory):
    """What `watch` is given to write to, and closed as its owner closes it."""
    if kind == "directory":
        yield str(directory)
        return
    writer = {"torch": SummaryWriter, "tensorboardX": tensorboardX.SummaryWriter}[kind]
    with writer(str(directory)) as made:
        yield made


class Faulty:
    """A file_writer that raises whatever `fault` is, as long as it is something."""

    def __init__(self, writer, fault=None):
        self._inner = writer.file_writer
        self.fault = fault
        writer.file_writer = self

    def add_event(self, *event):
        if self.fault is not None:
            raise self.fault
        self._inner.add_event(*event)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@contextmanager
def all_warnings():
    """Every warning that is given, even again from the same line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def watch_warnings(caught):
    return [warning for warning in caught if warning.category is PlateauWatchWarning]


def saved(thing) -> bytes:
    """The bytes of a checkpoint."""
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def lrs_as_saved(scheduler) -> bytes:
    return saved([group["lr"] for group in scheduler.optimizer.param_groups])


def bits(*numbers) -> bytes:
    """Numbers as float64, to be compared bit for bit: NaN equals NaN, 0.0 is not -0.0."""
    return struct.pack(f"<{len(numbers)}d", *numbers)


def traces_in(logdir):
    """The recorded traces by (run, prefix)."""
    logs = [read_run(run) for run in discover(Path(logdir))]
    assert not [damage for log in logs for damage in log.damages]
    return {(trace.run, trace.prefix): trace for log in logs for trace in log.traces}


def trace_in(logdir):
    """The one recorded trace there is, with nothing in it that could not be used."""
    (trace,) = traces_in(logdir).values()
    assert trace.problems == ()
    return trace


def replayed(logdir):
    """The real run replayed, without alternatives."""
    return compare(from_trace(trace_in(logdir)), [])


def event_files(logdir):
    return sorted(path for path in Path(logdir).rglob("*") if "tfevents" in path.name)


def events_in(logdir):
    """All events below a directory, as TensorBoard itself reads them."""
    return [
        Event.FromString(record)
        for path in event_files(logdir)
        for record in RawEventFileLoader(str(path)).Load()
    ]


def values_of(event):
    return {value.tag: value for value in event.summary.value}


def aged(logdir):
    """Make the event files older than any that come: a second is all that their names tell."""
    for count, path in enumerate(event_files(logdir)):
        path.rename(path.with_name(f"events.out.tfevents.{count:010d}.earlier.attempt"))


class Seen(NamedTuple):
    """One step as whoever stands beside it sees it."""

    metric: float
    best_before: float
    num_bad_epochs_before: float
    cooldown_counter_before: float
    best: float
    num_bad_epochs: float
    cooldown_counter: float
    last_epoch: int
    old_lrs: tuple[float, ...]
    new_lrs: tuple[float, ...]

    @classmethod
    def of_row(cls, row):
        return cls(
            row.metric,
            *astuple(row.before),
            *astuple(row.counters),
            row.last_epoch,
            row.old_lrs,
            row.new_lrs,
        )

    @property
    def bits(self):
        return bits(*self[:8], *self.old_lrs, *self.new_lrs)


class Training:
    """A scheduler, what a user does with it, and what each step was seen to do."""

    def __init__(self, config, lrs, dtypes):
        self.config = config
        self.dtypes = list(dtypes)
        self.scheduler = torch_scheduler(config, lrs, dtypes)
        self.saved = None
        self.seen = []

    def do(self, act, value):
        getattr(self, act)(value)

    def step(self, metric):
        old_lrs, before = lrs_of(self.scheduler), self.counters()
        self.scheduler.step(metric)
        self.seen.append(
            Seen(
                float(metric),
                *before,
                *self.counters(),
                self.scheduler.last_epoch,
                old_lrs,
                lrs_of(self.scheduler),
            )
        )

    def counters(self):
        found = self.scheduler
        return found.best, found.num_bad_epochs, found.cooldown_counter

    def edit_patience(self, patience):
        self.scheduler.patience = patience

    def set_lr(self, lr):
        for group, dtype in zip(self.scheduler.optimizer.param_groups, self.dtypes, strict=True):
            group["lr"] = as_lr(lr, dtype)

    def save(self, _):
        self.saved = deepcopy(self.scheduler.state_dict())

    def load(self, _):
        if self.saved is not None:
            self.scheduler.load_state_dict(deepcopy(self.saved))

    def add_group(self, lr):
        if not isinstance(self.config.min_lr, tuple):
            add_group(self.scheduler, lr)
            self.dtypes.append("python")


@st.composite
def setups(draw):
    """Arguments of a Training: a configuration, LRs of some groups, and their dtypes."""
    groups = draw(st.integers(1, 3))
    return (
        draw(configs(groups)),
        tuple(draw(st.lists(learning_rates, min_size=groups, max_size=groups))),
        tuple(draw(st.lists(lr_dtypes, min_size=groups, max_size=groups))),
    )


forms = st.sampled_from([float, np.float64, lambda value: torch.tensor(value, dtype=torch.float64)])

steps = st.tuples(st.just("step"), st.builds(lambda form, value: form(value), forms, metrics))

interventions = st.one_of(
    st.tuples(st.just("edit_patience"), st.integers(0, 4)),
    st.tuples(st.just("set_lr"), learning_rates),
    st.tuples(st.sampled_from(["save", "load"]), st.none()),
    st.tuples(st.just("add_group"), learning_rates),
)

stories = st.lists(st.one_of(steps, steps, steps, interventions), max_size=15).map(
    lambda acts: [("step", 1.0), *acts]
)
"""What happens in a training, in order; at least one step."""


def watched(directory, metric=METRIC, kind="torch", **parameters):
    """One training from beginning to end; returns its scheduler."""
    scheduler = scheduler_with(**parameters)
    with opened(kind, directory) as writer, watch(scheduler, writer):
        for value in metric:
            scheduler.step(value)
    return scheduler


def attempt(directory, kind, metric, checkpoint=None, axis=None):
    """Train in a run's directory; returns a checkpoint for each step, the start included."""
    scheduler = scheduler_with(patience=1, cooldown=1)
    if checkpoint is not None:
        state, optimizer = checkpoint
        scheduler.load_state_dict(deepcopy(state))
        scheduler.optimizer.load_state_dict(deepcopy(optimizer))
    checkpoints = [checkpoint]
    with opened(kind, directory) as writer, watch(scheduler, writer, step=axis):
        for value in metric:
            scheduler.step(value)
            checkpoints.append(deepcopy((scheduler.state_dict(), scheduler.optimizer.state_dict())))
    return checkpoints


def in_a_process(script, *arguments, deadline=60):
    """Run a script that prints JSON; its standard error may say what it likes."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
