"""What cannot be watched is refused at once, in words."""

from types import SimpleNamespace

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from plateau_watch import watch
from plateau_watch.errors import WatchError
from tests.hooked_runs import WRITERS, event_files, opened, scheduler_with, trace_in, traces_in


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


@pytest.mark.parametrize("groups", [[], [2], [0, -3], ["body"], "body"])
def test_param_groups_that_are_not_there_are_refused(tmp_path, groups):
    scheduler = scheduler_with(lrs=(0.1, 0.2))
    with pytest.raises(WatchError, match="groups must be positions of the optimizer's 2 param"):
        watch(scheduler, tmp_path, groups=groups)
    assert type(scheduler) is ReduceLROnPlateau


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
