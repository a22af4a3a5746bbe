"""Several threads: schedulers of their own, or one for all; nothing waits and no row lies."""

import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch import watch
from plateau_watch.comparison import compare
from plateau_watch.recording import from_trace
from tests.hooked_runs import (
    METRIC,
    WRITERS,
    all_warnings,
    lrs_after,
    opened,
    replayed,
    saved,
    scheduler_with,
    trace_in,
    traces_in,
    watch_warnings,
)
from tests.torch_oracle import lrs_of

THREADS = 4


@pytest.fixture(autouse=True)
def _threads_take_turns_all_the_time():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(act, count=THREADS):
    """Do something in threads that begin together, and return what each returned."""
    begin = threading.Barrier(count)

    def run(number):
        begin.wait(timeout=10)
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return [
            each.result(timeout=60)
            for each in [threads.submit(run, number) for number in range(count)]
        ]


@pytest.mark.parametrize("kind", WRITERS)
def test_each_thread_has_a_scheduler_of_its_own_and_one_log_for_all(tmp_path, kind):
    schedulers = [scheduler_with(patience=number) for number in range(THREADS)]

    def train(number):
        for metric in METRIC * 5:
            schedulers[number].step(metric)

    with opened(kind, tmp_path) as writer, all_warnings() as caught:
        handles = [
            watch(scheduler, writer, prefix=f"thread{number}")
            for number, scheduler in enumerate(schedulers)
        ]
        in_threads(train)
        for handle in handles:
            handle.close()
    assert caught == []
    traces = {prefix: trace for (_, prefix), trace in traces_in(tmp_path).items()}
    for number, scheduler in enumerate(schedulers):
        assert lrs_of(scheduler)[0] == lrs_after(METRIC * 5, patience=number)[-1]
        report = compare(from_trace(traces[f"thread{number}"]), [])
        assert report.recording.metric.tolist() == METRIC * 5
        assert (report.parity.exact, report.warnings) == (True, ())


def test_threads_that_wait_for_one_another_are_recorded_like_one(tmp_path):
    scheduler, plain, lock = (
        scheduler_with(patience=3),
        scheduler_with(patience=3),
        threading.Lock(),
    )

    def train(_):
        for _ in range(50):
            with lock:
                scheduler.step(1.0)

    with all_warnings() as caught, watch(scheduler, tmp_path):
        in_threads(train)
    for _ in range(50 * THREADS):
        plain.step(1.0)
    assert saved(scheduler.state_dict()) == saved(plain.state_dict())
    assert caught == []
    assert [row.number for row in trace_in(tmp_path).rows] == [*range(1, 50 * THREADS + 1)]
    assert replayed(tmp_path).parity.exact


class Meeting(ReduceLROnPlateau):
    """A step in which another thread's step may be waited for."""

    def step(self, metrics, *, meet):
        super().step(metrics)
        meet()


def test_steps_that_overlap_are_taken_left_out_and_said_once(tmp_path):
    scheduler = scheduler_with(Meeting, patience=50)
    meeting = threading.Barrier(2)
    with all_warnings() as caught, watch(scheduler, tmp_path):
        scheduler.step(1.0, meet=int)
        for _ in range(3):
            in_threads(lambda _: scheduler.step(2.0, meet=lambda: meeting.wait(timeout=10)), 2)
        scheduler.step(0.5, meet=int)
        scheduler.step(0.75, meet=int)
    assert scheduler.last_epoch == 9
    (warning,) = caught
    assert "several threads stepped the scheduler at once" in str(warning.message)
    report = replayed(tmp_path)
    assert [row.last_epoch for row in report.recording.rows] == [1, 8, 9]
    assert report.parity.exact
    assert report.warnings == ("6 scheduler step(s) before step 8 are missing from the trace",)


def test_whatever_threads_do_to_one_scheduler_each_row_that_is_written_is_true(tmp_path):
    scheduler = scheduler_with(patience=1, factor=0.9, eps=0.0)
    taken = threading.Semaphore(0)

    def train(number):
        for count in range(150):
            scheduler.step((number + count) % 7)
            taken.release()

    with all_warnings() as caught, watch(scheduler, tmp_path):
        for metric in METRIC:
            scheduler.step(metric)
        in_threads(train)
        for metric in METRIC:
            scheduler.step(metric)
    assert taken._value == 150 * THREADS, "each step returned"
    assert len(watch_warnings(caught)) == len(caught) <= 1
    rows = trace_in(tmp_path).rows
    numbers = [row.number for row in rows]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 150 * THREADS + 2 * len(METRIC)
    assert [row.metric for row in rows[: len(METRIC)]] == METRIC
    assert [row.metric for row in rows[-len(METRIC) :]] == METRIC
    assert replayed(tmp_path).parity.exact


class PickledByItself(ReduceLROnPlateau):
    """Has its plain class for as long as it is pickled."""

    def __getstate__(self):
        return {**self.__dict__}


@pytest.mark.parametrize(
    "kind", [ReduceLROnPlateau, PickledByItself], ids=lambda kind: kind.__name__
)
def test_a_scheduler_that_threads_pickle_while_it_steps_stays_watched(tmp_path, kind):
    scheduler, plain = scheduler_with(kind, patience=3), scheduler_with(kind, patience=3)
    done = threading.Event()

    def act(number):
        if number:
            while not done.is_set():
                assert type(pickle.loads(pickle.dumps(scheduler))) is kind
            return
        try:
            for metric in METRIC * 20:
                scheduler.step(metric)
        finally:
            done.set()

    with all_warnings() as caught, watch(scheduler, tmp_path):
        watched = type(scheduler)
        in_threads(act, 3)
        assert type(scheduler) is watched
        scheduler.step(9.0)
    for metric in [*METRIC * 20, 9.0]:
        plain.step(metric)
    assert saved(scheduler.state_dict()) == saved(plain.state_dict())
    assert caught == []
    rows = trace_in(tmp_path).rows
    assert rows[-1].metric == 9.0
    if kind is ReduceLROnPlateau:
        assert [row.metric for row in rows] == [*METRIC * 20, 9.0]
    assert type(scheduler) is kind
