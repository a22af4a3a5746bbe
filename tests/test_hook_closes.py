"""A watch ends when it is closed, or when its scheduler is gone, and leaves nothing behind."""

import copy
import gc
import pickle
import weakref

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from plateau_watch import watch
from plateau_watch.errors import WatchError
from tests.hooked_runs import WRITERS, all_warnings, event_files, opened, scheduler_with, trace_in


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


def test_a_closed_watch_lets_go_of_its_writer_and_its_place(tmp_path):
    first, second, third = scheduler_with(), scheduler_with(), scheduler_with()
    with SummaryWriter(str(tmp_path)) as writer:
        watch(first, writer).close()
        with watch(second, writer):
            del first
            gc.collect()
            with pytest.raises(WatchError, match="another scheduler is logged there"):
                watch(third, writer)
        watch(second, writer).close()
        gone = weakref.ref(writer)
    del writer
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_a_copy_of_whatever_holds_the_handle_watches_nothing(tmp_path, copied):
    scheduler = scheduler_with()
    holder = {"scheduler": scheduler, "handle": watch(scheduler, tmp_path)}
    twin = copied(holder)
    assert type(twin["scheduler"]) is ReduceLROnPlateau
    with twin["handle"]:
        twin["scheduler"].step(1.0)
    scheduler.step(2.0)
    holder["handle"].close()
    assert [row.metric for row in trace_in(tmp_path).rows] == [2.0]


def test_closing_in_the_middle_of_a_step_leaves_that_step_out(tmp_path):
    class Ending(ReduceLROnPlateau):
        def step(self, metrics):
            super().step(metrics)
            if metrics == 2.0:
                handles.pop().close()

    scheduler = scheduler_with(Ending)
    handles = [watch(scheduler, tmp_path)]
    with all_warnings() as caught:
        for metric in (1.0, 2.0, 3.0):
            scheduler.step(metric)
    assert caught == []
    assert type(scheduler) is Ending
    assert [row.metric for row in trace_in(tmp_path).rows] == [1.0]
