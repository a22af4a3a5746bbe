"""The hook changes nothing of a training, whatever happens to it: the third promise."""

import copy
import inspect
import io
import pickle
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch import watch
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    Training,
    in_a_process,
    lrs_as_saved,
    opened,
    replayed,
    saved,
    scheduler_with,
    setups,
    stories,
    trace_in,
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
