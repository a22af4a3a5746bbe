"""The hook changes nothing of a training, whatever happens to it: the third promise."""

import copy
import errno
import gc
import inspect
import io
import json
import logging
import pickle
import subprocess
import sys
import textwrap
import warnings
import weakref
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.errors import WatchError
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Faulty,
    Training,
    add_group,
    all_warnings,
    event_files,
    lrs_after,
    lrs_as_saved,
    opened,
    replayed,
    saved,
    scheduler_with,
    setups,
    stories,
    trace_in,
    traces_in,
    watch_warnings,
)
from tests.torch_oracle import lrs_of, state_of

# What it is to be unchanged: the bytes of a checkpoint, and of the LRs.


def as_saved(training):
    return saved(training.scheduler.state_dict()), lrs_as_saved(training.scheduler)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=100, deadline=None)
@given(setups(), stories)
def test_lrs_and_state_dict_are_the_same_bytes_with_and_without_the_hook(kind, setup, story):
    plain, hooked = Training(*setup), Training(*setup)
    with TemporaryDirectory() as directory, opened(kind, directory) as writer:
        with watch(hooked.scheduler, writer):
            assert as_saved(hooked) == as_saved(plain)
            for act in story:
                plain.do(*act)
                hooked.do(*act)
                assert as_saved(hooked) == as_saved(plain)
        assert as_saved(hooked) == as_saved(plain)
    assert vars(hooked.scheduler).keys() == vars(plain.scheduler).keys()


@pytest.mark.parametrize("parameters", [{}, {"step": lambda: 7}, {"prefix": "other"}])
def test_a_step_returns_what_the_plain_one_returns(tmp_path, parameters):
    class Talking(ReduceLROnPlateau):
        def step(self, metrics):
            super().step(metrics)
            return "stepped"

    plain, talking = scheduler_with(), scheduler_with(Talking)
    with watch(plain, tmp_path, **parameters):
        assert plain.step(1.0) is None
    with watch(talking, tmp_path, **parameters):
        assert talking.step(1.0) == "stepped"


# A watched scheduler is its plain class, to whoever asks.


def test_a_watched_scheduler_looks_like_its_plain_class(tmp_path):
    plain, hooked = scheduler_with(), scheduler_with()
    with watch(hooked, tmp_path):
        assert isinstance(hooked, ReduceLROnPlateau)
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            assert getattr(type(hooked), name) == getattr(ReduceLROnPlateau, name)
        assert inspect.signature(hooked.step) == inspect.signature(plain.step)
        assert hooked.step.__doc__ == plain.step.__doc__
        assert str(type(hooked)) == str(ReduceLROnPlateau)


def test_schedulers_of_one_class_have_one_class_while_they_are_watched(tmp_path):
    first, second = scheduler_with(), scheduler_with()
    with watch(first, tmp_path, prefix="first"), watch(second, tmp_path, prefix="second"):
        assert type(first) is type(second) is not ReduceLROnPlateau


# Checkpoints know nothing of us.

COPIES = {
    **{
        f"pickle protocol {protocol}": lambda thing, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "torch.save": lambda thing: load(saved(thing)),
}


def load(content):
    return torch.load(io.BytesIO(content), weights_only=False)


class Plain(ReduceLROnPlateau):
    """Nothing of its own."""


class Remembering(ReduceLROnPlateau):
    """Its own state, for pickle."""

    def __getstate__(self):
        return {**self.__dict__, "remembered": True}

    def __setstate__(self, state):
        self.__dict__.update(state)


class CopyingItself(ReduceLROnPlateau):
    """Its own ways of being copied."""

    def __copy__(self):
        return self.__deepcopy__({})

    def __deepcopy__(self, memo):
        twin = type(self).__new__(type(self))
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        twin.copied = True
        return twin


class Reduced(ReduceLROnPlateau):
    """Its own reduction, for pickle."""

    def __reduce__(self):
        return rebuilt, (type(self), dict(self.__dict__))


def rebuilt(kind, state):
    twin = kind.__new__(kind)
    twin.__dict__.update(state)
    return twin


class Slotted(ReduceLROnPlateau):
    """An attribute that is not in its __dict__."""

    __slots__ = ("seen",)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize(
    "kind",
    [ReduceLROnPlateau, Plain, Remembering, CopyingItself, Reduced],
    ids=lambda k: k.__name__,
)
def test_a_copy_of_a_watched_scheduler_is_plain_and_unwatched(tmp_path, kind, way):
    scheduler = scheduler_with(kind, patience=0)
    plain = scheduler_with(kind, patience=0)
    with watch(scheduler, tmp_path):
        for metric in (1.0, 2.0):
            scheduler.step(metric)
            plain.step(metric)
        watched = type(scheduler)
        twin = COPIES[way](scheduler)
        assert type(twin) is kind
        assert vars(twin).keys() == vars(COPIES[way](plain)).keys()
        assert state_of(twin) == state_of(plain)
        assert type(scheduler) is watched
        twin.step(3.0)
        scheduler.step(0.5)
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0, 2.0, 0.5]


@pytest.mark.parametrize("way", [*list(COPIES)[2:]])
def test_a_copy_of_a_watched_scheduler_keeps_its_slots(tmp_path, way):
    scheduler = scheduler_with(Slotted)
    scheduler.seen = 3
    with watch(scheduler, tmp_path):
        assert COPIES[way](scheduler).seen == 3


def test_a_copy_can_itself_be_watched(tmp_path):
    scheduler = scheduler_with()
    with watch(scheduler, tmp_path, prefix="original"):
        twin = copy.deepcopy(scheduler)
        with watch(twin, tmp_path, prefix="twin"):
            twin.step(1.0)
            assert type(twin) is type(scheduler)
        assert type(twin) is ReduceLROnPlateau is not type(scheduler)


WITHOUT_US = """
    import json, pickle, sys
    sys.modules["plateau_watch"] = None  # whoever imports it now gets an ImportError
    import torch

    directory, metric = sys.argv[1], float(sys.argv[2])
    loaded = [torch.load(f"{directory}/whole.pt", weights_only=False)]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with open(f"{directory}/{protocol}.pkl", "rb") as file:
            loaded.append(pickle.load(file))
    checkpoint = torch.load(f"{directory}/checkpoint.pt", weights_only=True)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    optimizer.load_state_dict(checkpoint["optimizer"])
    resumed = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    resumed.load_state_dict(checkpoint["scheduler"])
    found = []
    for scheduler in [*loaded, resumed]:
        scheduler.step(metric)
        lr = scheduler.optimizer.param_groups[0]["lr"]
        found.append([type(scheduler) is type(resumed), scheduler.best, scheduler.last_epoch, lr])
    try:
        import plateau_watch
    except ImportError:
        print(json.dumps(found))
"""


def test_a_checkpoint_made_while_watched_loads_where_plateau_watch_is_not_installed(tmp_path):
    scheduler, plain = scheduler_with(patience=1), scheduler_with(patience=1)
    with watch(scheduler, tmp_path / "log"):
        for metric in (1.0, 0.5, 0.75):
            scheduler.step(metric)
            plain.step(metric)
        torch.save(scheduler, tmp_path / "whole.pt")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            (tmp_path / f"{protocol}.pkl").write_bytes(pickle.dumps(scheduler, protocol))
        checkpoint = {
            "scheduler": scheduler.state_dict(),
            "optimizer": scheduler.optimizer.state_dict(),
        }
        torch.save(checkpoint, tmp_path / "checkpoint.pt")
    plain.step(0.75)
    found = in_a_process(WITHOUT_US, tmp_path, 0.75)
    assert found == [[True, 0.5, 4, lrs_of(plain)[0]]] * (pickle.HIGHEST_PROTOCOL + 3)
    assert lrs_of(plain)[0] < 0.1


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


# Subclasses.


class OwnStep(ReduceLROnPlateau):
    """A step of its own, with the plain signature."""

    def step(self, metrics, epoch=None):
        self.calls = getattr(self, "calls", 0) + 1
        return super().step(metrics, epoch)


class OwnInit(ReduceLROnPlateau):
    """Other arguments than torch's."""

    def __init__(self, optimizer, **parameters):
        super().__init__(optimizer, mode="min", **parameters)
        self.note = "mine"


class OwnSignature(ReduceLROnPlateau):
    """A step that torch's callers could not call."""

    def step(self, metrics, *, scale):
        super().step(metrics * scale)


class OwnRules(ReduceLROnPlateau):
    """Reduces at every second step, whatever the metric."""

    def step(self, metrics, epoch=None):
        self.last_epoch += 1
        self.best = min(self.best, float(metrics))
        if self.last_epoch % 2 == 0:
            self._reduce_lr(self.last_epoch)


@pytest.mark.parametrize("kind", [OwnStep, OwnInit, OwnRules], ids=lambda k: k.__name__)
def test_a_subclass_steps_as_it_does_unwatched_and_gets_its_class_back(tmp_path, kind):
    plain, hooked = scheduler_with(kind, patience=1), scheduler_with(kind, patience=1)
    with watch(hooked, tmp_path):
        assert isinstance(hooked, kind)
        assert type(hooked).__name__ == kind.__name__
        assert inspect.signature(hooked.step) == inspect.signature(plain.step)
        for metric in METRIC:
            plain.step(metric)
            hooked.step(metric)
            assert saved(hooked.state_dict()) == saved(plain.state_dict())
            assert lrs_of(hooked) == lrs_of(plain)
    assert type(hooked) is kind
    assert len(trace_in(tmp_path).rows) == len(METRIC)


def test_a_subclass_whose_step_has_another_signature_is_called_as_it_wants(tmp_path):
    plain, hooked = scheduler_with(OwnSignature), scheduler_with(OwnSignature)
    with watch(hooked, tmp_path):
        assert inspect.signature(hooked.step) == inspect.signature(plain.step)
        for metric in METRIC:
            plain.step(metric, scale=1.0)
            hooked.step(metric, scale=1.0)
            assert state_of(hooked) == state_of(plain)
        with pytest.raises(TypeError, match="scale"):
            hooked.step(1.0)
    assert replayed(tmp_path).parity.exact


# Closing.


@pytest.mark.parametrize("kind", WRITERS)
def test_closing_gives_the_class_back_and_ends_the_recording(tmp_path, kind):
    scheduler = scheduler_with()
    with opened(kind, tmp_path) as writer:
        handle = watch(scheduler, writer)
        scheduler.step(1.0)
        handle.close()
        assert type(scheduler) is ReduceLROnPlateau
        scheduler.step(2.0)
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0]


def test_closing_twice_does_nothing_more(tmp_path):
    scheduler = scheduler_with()
    first = watch(scheduler, tmp_path, prefix="first")
    first.close()
    with watch(scheduler, tmp_path, prefix="second"):
        watched = type(scheduler)
        first.close()
        assert type(scheduler) is watched
        scheduler.step(1.0)
    assert [path.parent.name for path in event_files(tmp_path)] == ["first", "second"]
    assert len(trace_in(tmp_path / "second").rows) == 1


def test_a_with_block_closes_also_when_the_training_raises(tmp_path):
    scheduler = scheduler_with()
    with pytest.raises(ZeroDivisionError), watch(scheduler, tmp_path):
        _ = 1 / 0
    assert type(scheduler) is ReduceLROnPlateau


@pytest.mark.parametrize("kind", ["torch", "tensorboardX"])
def test_closing_leaves_the_writer_to_its_owner(tmp_path, kind):
    scheduler = scheduler_with()
    with opened(kind, tmp_path) as writer:
        watch(scheduler, writer).close()
        assert writer.file_writer is not None
        writer.add_scalar("still/open", 1.0, 0)


def test_a_scheduler_that_nobody_needs_goes_away_though_it_is_watched(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        scheduler = scheduler_with()
        handle = watch(scheduler, writer)
        scheduler.step(1.0)
        gone = weakref.ref(scheduler)
        del scheduler
        gc.collect()
        assert gone() is None
        handle.close()


def test_a_handle_that_nobody_keeps_goes_on_recording(tmp_path):
    scheduler = scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer:
        watch(scheduler, writer)
        gc.collect()
        scheduler.step(1.0)
    assert len(trace_in(tmp_path).rows) == 1


def test_nothing_is_left_open_where_neither_handle_nor_scheduler_is_kept(tmp_path):
    with all_warnings() as caught:
        scheduler = scheduler_with()
        watch(scheduler, tmp_path)
        scheduler.step(1.0)
        del scheduler
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_new_scheduler_is_never_taken_for_one_that_is_gone(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for count in range(50):
            scheduler = scheduler_with()
            watch(scheduler, writer, prefix=f"number{count}")
            scheduler.step(1.0)
            del scheduler
        unwatched = scheduler_with()
        unwatched.step(1.0)
        assert type(unwatched) is ReduceLROnPlateau
    assert len(event_files(tmp_path)) == 1


# What cannot be watched is refused at once, in words.


def test_watching_twice_is_refused_and_the_first_goes_on(tmp_path):
    scheduler = scheduler_with()
    with watch(scheduler, tmp_path / "first"):
        with pytest.raises(WatchError, match="watched already: close"):
            watch(scheduler, tmp_path / "second")
        scheduler.step(1.0)
    assert len(trace_in(tmp_path / "first").rows) == 1
    assert not (tmp_path / "second").exists()
    with watch(scheduler, tmp_path / "second"):
        scheduler.step(1.0)
    assert len(trace_in(tmp_path / "second").rows) == 1


@pytest.mark.parametrize("kind", WRITERS)
def test_two_schedulers_under_one_prefix_are_refused_while_both_are_watched(tmp_path, kind):
    first, second = scheduler_with(), scheduler_with()
    with opened(kind, tmp_path) as writer:
        handle = watch(first, writer)
        with pytest.raises(WatchError, match="under 'plateau' already: give this one a prefix"):
            watch(second, writer)
        assert type(second) is ReduceLROnPlateau
        with watch(second, writer, prefix="second"):
            second.step(1.0)
        first.step(1.0)
        handle.close()
        watch(second, writer)
        del second
        with watch(first, writer):
            first.step(3.0)
    assert {
        prefix: [row.metric for row in trace.rows]
        for (_, prefix), trace in traces_in(tmp_path).items()
    } == {"plateau": [1.0, 3.0], "second": [1.0]}


def accelerated():
    return SimpleNamespace(scheduler=scheduler_with())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, r"only ReduceLROnPlateau can be watched, not builtins\.NoneType$"),
        (
            lambda: StepLR(scheduler_with().optimizer, 3),
            r"not torch\.optim\.lr_scheduler\.StepLR$",
        ),
        (lambda: ReduceLROnPlateau, r"only ReduceLROnPlateau can be watched, not builtins\.type$"),
        (lambda: scheduler_with().optimizer, r"not torch\.optim\.sgd\.SGD$"),
        (accelerated, r"SimpleNamespace; watch its \.scheduler$"),
    ],
    ids=["None", "StepLR", "the class", "an optimizer", "a wrapper"],
)
def test_what_is_no_such_scheduler_is_refused(tmp_path, make, message):
    with pytest.raises(WatchError, match=message):
        watch(make(), tmp_path)
    assert not event_files(tmp_path)


@pytest.mark.parametrize("writer", [None, 3, b"runs", object(), SimpleNamespace(add_scalar=print)])
def test_a_wrong_writer_is_refused_and_the_scheduler_stays_plain(writer):
    scheduler = scheduler_with()
    message = r"cannot write to a .*: give torch.utils.tensorboard.SummaryWriter, tensorboardX"
    with pytest.raises(WatchError, match=message):
        watch(scheduler, writer)
    assert type(scheduler) is ReduceLROnPlateau
    scheduler.step(1.0)


def test_a_subclass_that_cannot_be_subclassed_is_refused_in_words(tmp_path):
    class Final(ReduceLROnPlateau):
        def __init_subclass__(cls):
            raise TypeError("nobody derives from this")

    scheduler = scheduler_with(Final)
    with pytest.raises(WatchError, match="cannot be watched: nobody derives from this"):
        watch(scheduler, tmp_path)
    assert type(scheduler) is Final
    scheduler.step(1.0)


def test_a_registry_that_takes_no_second_class_is_refused_in_words(tmp_path):
    class Registered(ReduceLROnPlateau):
        def __init_subclass__(cls):
            raise ValueError("registered twice")

    with pytest.raises(WatchError, match="registered twice"):
        watch(scheduler_with(Registered), tmp_path)


# Whatever happens to the writer costs one warning, and nothing else.


@contextmanager
def closed_writer(kind, directory):
    with opened(kind, directory) as writer:
        yield writer, writer.close


@contextmanager
def raising_writer(kind, directory, fault):
    with opened(kind, directory) as writer:
        file_writer = Faulty(writer)
        yield writer, lambda: setattr(file_writer, "fault", fault)


@contextmanager
def impossible_directory(directory):
    (directory / "file").write_text("not a directory")
    yield directory / "file" / "runs", lambda: None


def full():
    return OSError(errno.ENOSPC, "No space left on device")


FAULTS = {
    "a closed torch writer": ("ClosedWriterError", lambda d: closed_writer("torch", d)),
    "a closed tensorboardX writer": (
        "ClosedWriterError",
        lambda d: closed_writer("tensorboardX", d),
    ),
    "a full disk below torch": ("OSError", lambda d: raising_writer("torch", d, full())),
    "a full disk below tensorboardX": (
        "OSError",
        lambda d: raising_writer("tensorboardX", d, full()),
    ),
    "no permission": (
        "PermissionError",
        lambda d: raising_writer("torch", d, PermissionError(errno.EACCES, "Permission denied")),
    ),
    "a bug in the writer": (
        "ZeroDivisionError",
        lambda d: raising_writer("torch", d, ZeroDivisionError()),
    ),
    "a directory below a file": ("NotADirectoryError", impossible_directory),
}


@pytest.mark.parametrize(("name", "broken"), FAULTS.values(), ids=FAULTS)
def test_a_writer_that_fails_costs_one_warning_and_no_lr(tmp_path, name, broken):
    scheduler = scheduler_with(patience=1)
    lrs = []
    with (
        broken(tmp_path) as (writer, break_it),
        all_warnings() as caught,
        watch(scheduler, writer),
    ):
        break_it()
        for metric in METRIC:
            scheduler.step(metric)
            lrs.append(lrs_of(scheduler)[0])
    assert lrs == lrs_after(METRIC, patience=1)
    (warning,) = caught
    assert watch_warnings(caught) == [warning]
    assert warning.filename == __file__, "it points into the user's own code"
    message = str(warning.message)
    assert message.startswith(f"plateau-watch cannot write its trace ({name}: ")
    assert "training is not affected" in message


@pytest.mark.parametrize(("name", "broken"), FAULTS.values(), ids=FAULTS)
def test_where_warnings_are_errors_a_failing_writer_is_logged_instead(
    tmp_path, caplog, name, broken
):
    scheduler = scheduler_with(patience=1)
    with broken(tmp_path) as (writer, break_it), warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch(scheduler, writer):
            break_it()
            for metric in METRIC:
                scheduler.step(metric)
    assert lrs_of(scheduler)[0] == lrs_after(METRIC, patience=1)[-1]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("plateau_watch", logging.WARNING)
    assert f"({name}: " in record.getMessage()


def test_each_kind_of_fault_is_warned_of_once(tmp_path):
    scheduler = scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer:
        file_writer = Faulty(writer)
        with all_warnings() as caught, watch(scheduler, writer):
            for fault in (full(), PermissionError(), full(), None, full(), PermissionError()):
                file_writer.fault = fault
                scheduler.step(1.0)
    assert len(watch_warnings(caught)) == len(caught) == 2


def test_a_step_axis_that_raises_costs_one_warning_and_no_lr(tmp_path):
    scheduler = scheduler_with(patience=1)
    with all_warnings() as caught, watch(scheduler, tmp_path, step=lambda: 1 // 0):
        for metric in METRIC:
            scheduler.step(metric)
    assert lrs_of(scheduler)[0] == lrs_after(METRIC, patience=1)[-1]
    assert len(watch_warnings(caught)) == len(caught) == 1
    assert "ZeroDivisionError" in str(caught[0].message)


def test_parameters_that_mean_nothing_to_us_cost_one_warning_and_no_lr(tmp_path):
    plain, hooked = scheduler_with(patience=0), scheduler_with(patience=0)
    with all_warnings() as caught, watch(hooked, tmp_path):
        for metric in (1.0, 2.0, 3.0, 4.0):
            plain.factor = hooked.factor = 1.5  # torch checks this only when it is made
            plain.step(metric)
            hooked.step(metric)
            assert state_of(hooked) == state_of(plain)
    assert len(watch_warnings(caught)) == len(caught) == 1
    assert "factor must be below 1" in str(caught[0].message)


ON_A_FULL_DISK = """
    import json, os, resource, sys, threading, warnings
    import plateau_watch, torch, torch.utils.tensorboard, tensorboardX

    kind, directory = sys.argv[1:]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    if kind == "directory":
        writer = directory
    else:
        modules = {"torch": torch.utils.tensorboard, "tensorboardX": tensorboardX}
        writer = modules[kind].SummaryWriter(directory, flush_secs=0)
    # Files of this process cannot grow beyond this: the kernel fails each write.
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
    handle = plateau_watch.watch(scheduler, writer)
    lrs, caught = [], []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_: caught.append(category.__name__)

    def train():
        for step in range(60):
            scheduler.step(1.0)
            lrs.append(optimizer.param_groups[0]["lr"])

    training = threading.Thread(target=train, daemon=True)
    training.start()
    training.join(timeout=5)
    print(json.dumps([lrs, caught]), flush=True)
    os._exit(0)  # how the writer itself ends on a full disk is not ours
"""


@pytest.mark.parametrize(
    "kind",
    [
        "torch",
        "directory",
        "tensorboardX",
    ],
)
def test_a_disk_that_fills_up_costs_one_warning_and_no_lr(tmp_path, kind):
    lrs, categories = in_a_process(ON_A_FULL_DISK, kind, tmp_path / "log")
    assert lrs == lrs_after([1.0] * 60, patience=1)
    assert categories == ["PlateauWatchWarning"]


def test_a_full_disk_is_not_littered_with_empty_files(tmp_path, monkeypatch):
    from plateau_watch.events.event_file import EventFile

    def fails(*_):
        raise full()

    monkeypatch.setattr(EventFile, "add", fails)
    scheduler = scheduler_with()
    with all_warnings() as caught, watch(scheduler, tmp_path):
        for metric in METRIC:
            scheduler.step(metric)
    assert len(event_files(tmp_path)) <= 1
    assert len(watch_warnings(caught)) == len(caught) == 1


# Errors and warnings of torch's own step are the user's.


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (("no number",), {}),
        ((None,), {}),
        ((torch.ones(2),), {}),
        ((), {}),
        ((1.0, None, "too many"), {}),
        ((), {"loss": 1.0}),
    ],
    ids=["text", "None", "two values", "nothing", "too much", "another name"],
)
def test_an_error_of_torchs_own_step_reaches_the_user_unchanged_and_leaves_no_row(
    tmp_path, caplog, kind, arguments, keywords
):
    plain, hooked = scheduler_with(patience=1), scheduler_with(patience=1)
    with pytest.raises(Exception) as expected:  # noqa: PT011  whatever torch raises
        plain.step(*arguments, **keywords)
    with opened(kind, tmp_path) as writer, watch(hooked, writer):
        hooked.step(1.0)
        plain.step(1.0)
        with pytest.raises(type(expected.value)) as raised:
            hooked.step(*arguments, **keywords)
        assert raised.value.args == expected.value.args
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
        for metric in METRIC:
            plain.step(metric)
            hooked.step(metric)
    assert saved(hooked.state_dict()) == saved(plain.state_dict())
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0, *METRIC]
    assert replayed(tmp_path).parity.exact
    assert caplog.records == [], "we have nothing to add to it"


def test_an_error_in_the_midst_of_torchs_step_leaves_no_row_and_an_exact_replay(tmp_path):
    plain, hooked = (scheduler_with(patience=0, min_lr=[0.01]) for _ in range(2))
    with watch(hooked, tmp_path):
        for scheduler in (plain, hooked):
            scheduler.step(1.0)
            add_group(scheduler, 0.2)
            with pytest.raises(RuntimeError, match="min_lrs"):
                scheduler.step(2.0)  # torch has counted a bad step by now
            scheduler.min_lrs = [0.01, 0.02]
            scheduler.step(2.0)
    assert state_of(hooked) == state_of(plain)
    assert [row.last_epoch for row in trace_in(tmp_path).rows] == [1, 3]
    assert replayed(tmp_path).parity.exact


def test_a_warning_of_torchs_own_step_is_given_once_and_the_row_is_written(tmp_path):
    scheduler = scheduler_with()
    with all_warnings() as caught, watch(scheduler, tmp_path):
        scheduler.step(1.0, 7)
        scheduler.step(1.0, epoch=9)
    assert [warning.category for warning in caught] == [UserWarning] * 2
    assert [row.last_epoch for row in trace_in(tmp_path).rows] == [7, 9]
    assert replayed(tmp_path).parity.exact
