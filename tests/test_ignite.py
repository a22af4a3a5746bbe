"""ignite's handler: what it leaves in the log, and what it leaves alone."""

import io

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch.comparison import compare
from plateau_watch.recording import from_trace
from tests.framework_runs import (
    METRIC,
    PATIENCE,
    lrs_after,
    messages,
    replayed,
    steps_of,
    trace_in,
    traces_in,
)
from tests.hooked_runs import all_warnings, saved
from tests.ignite_runs import (
    Engine,
    Events,
    PlateauWatch,
    ReduceLROnPlateauScheduler,
    TensorboardLogger,
    Training,
    states,
    watched,
)


class TestATraining:
    def test_the_trace_is_what_an_unwatched_scheduler_does(self, tmp_path):
        watched(tmp_path)
        report = replayed(tmp_path)
        assert report.recording.metric.tolist() == METRIC
        assert report.recording.config.patience == PATIENCE
        assert [row.new_lrs[0] for row in report.recording.rows] == lrs_after(
            METRIC, patience=PATIENCE
        )
        assert report.parity.exact
        assert not report.warnings

    def test_the_training_is_that_of_an_unwatched_twin(self, tmp_path):
        plain, hooked = Training(), Training()
        plain.run()
        watched(tmp_path, hooked)
        assert hooked.lrs == plain.lrs == [0.1, *lrs_after(METRIC, patience=PATIENCE)[:-1]]
        assert states(hooked.scheduler.scheduler) == states(plain.scheduler.scheduler)

    def test_the_min_lr_that_ignite_loses_is_seen_to_be_lost(self, tmp_path):
        training = Training(scheduler=None)
        training.add_scheduler(min_lr=0.05)
        watched(tmp_path, training)
        (report,) = [replayed(tmp_path)]
        assert report.recording.config.min_lr == 0.0
        assert report.recording.rows[-1].new_lrs[0] < 0.05
        assert report.parity.exact

    def test_one_that_reduces_one_param_group_replays_as_that_group(self, tmp_path):
        training = Training(scheduler=None)
        training.add_group(0.5)
        training.add_scheduler(param_group_index=1)
        watched(tmp_path, training)
        report = replayed(tmp_path)
        assert trace_in(tmp_path).rows[0].record.groups == ("1",)
        assert [row.new_lrs for row in report.recording.rows] == [
            (lr,) for lr in lrs_after(METRIC, patience=PATIENCE, lrs=(0.5,))
        ]
        assert report.parity.exact
        assert not report.warnings

    def test_two_that_reduce_a_param_group_each_do_not_stand_in_each_others_way(self, tmp_path):
        training = Training(scheduler=None)
        training.add_group(0.5)
        training.add_scheduler(param_group_index=0, min_lr=0.05)
        training.add_scheduler(param_group_index=1)
        watched(tmp_path, training)
        traces = {prefix: trace for (_, prefix), trace in traces_in(tmp_path).items()}
        reports = [compare(from_trace(traces[f"plateau/{index}"]), []) for index in (0, 1)]
        assert [report.recording.rows[-1].new_lrs for report in reports] == [
            (0.05,),
            (lrs_after(METRIC, patience=PATIENCE, lrs=(0.5,))[-1],),
        ]
        assert all(report.parity.exact and not report.warnings for report in reports)

    def test_a_scheduler_is_watched_until_it_is_closed(self, tmp_path):
        watch = PlateauWatch()
        training = watched(tmp_path, watch=watch, epochs=2)
        scheduler = training.scheduler.scheduler
        assert type(scheduler) is not ReduceLROnPlateau
        watch.close()
        watch.close()
        assert type(scheduler) is ReduceLROnPlateau

    def test_a_checkpoint_that_takes_the_trainer_along_is_saved_and_loaded_all_the_same(
        self, tmp_path
    ):
        trainer, evaluator = Engine(nothing), Engine(nothing)
        evaluator.state.metrics = {"loss": 1.0}
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = ReduceLROnPlateauScheduler(optimizer, "loss", trainer=trainer)
        evaluator.add_event_handler(Events.COMPLETED, scheduler)
        with TensorboardLogger(str(tmp_path)) as logger:
            logger.attach_output_handler(evaluator, Events.COMPLETED, "validation", ["loss"])
            PlateauWatch().attach(trainer, evaluator)
            trainer.run([0], max_epochs=1)
            scheduler(evaluator)
            content = io.BytesIO(saved(scheduler.state_dict()))
        (row,) = trace_in(tmp_path).rows
        state = torch.load(content, weights_only=False)["scheduler"]
        assert state["best"] == row.counters.best == 1.0
        copied = state["_reduce_lr"].__self__.trainer
        with all_warnings() as caught:
            copied.run([0], max_epochs=1)
        assert not messages(caught)

    def test_an_exception_of_the_training_comes_through(self, tmp_path):
        training = Training()

        @training.trainer.on(Events.EPOCH_COMPLETED(once=2))
        def fail():
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            watched(tmp_path, training)
        assert [row.metric for row in trace_in(tmp_path).rows] == METRIC[:2]


def nothing(*_):
    """What an engine does that can be pickled."""


class TestTheAxis:
    def test_it_is_that_of_the_metric_by_epoch(self, tmp_path):
        watched(tmp_path, epochs=4)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == steps_of(tmp_path, "validation/loss") == [1, 2, 3, 4]
        assert steps == steps_of(tmp_path, "plateau/metric")

    @pytest.mark.parametrize("metrics", [["loss"], "all"])
    def test_it_is_that_of_the_metric_by_iteration(self, tmp_path, metrics):
        watched(tmp_path, epochs=4, axis=Events.ITERATION_COMPLETED, metrics=metrics)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == steps_of(tmp_path, "validation/loss") == [3, 6, 9, 12]

    def test_a_logger_of_some_evaluations_only_has_an_axis_all_the_same(self, tmp_path):
        event = Events.COMPLETED(lambda engine, _: True)
        watched(tmp_path, epochs=4, axis=Events.ITERATION_COMPLETED, event=event)
        assert [row.step for row in trace_in(tmp_path).rows] == [3, 6, 9, 12]

    def test_where_the_metric_is_not_logged_it_is_the_epoch(self, tmp_path):
        watched(tmp_path, epochs=4, axis=Events.ITERATION_COMPLETED, metrics=())
        assert [row.step for row in trace_in(tmp_path).rows] == [1, 2, 3, 4]

    def test_for_a_scheduler_at_the_trainers_iterations_it_is_the_iteration(self, tmp_path):
        training = Training(scheduler=None)
        training.step_at(Events.ITERATION_COMPLETED(every=2))
        watched(tmp_path, training, epochs=2)
        assert [row.step for row in trace_in(tmp_path).rows] == [2, 4, 6]

    def test_for_a_scheduler_at_an_event_of_the_users_own_it_is_the_epoch(self, tmp_path):
        training = Training(scheduler=None)
        training.trainer.register_events("measured")
        training.trainer.add_event_handler(
            Events.EPOCH_COMPLETED, lambda engine: engine.fire_event("measured")
        )
        training.step_at("measured")
        watched(tmp_path, training, epochs=2)
        assert [row.step for row in trace_in(tmp_path).rows] == [1, 2]

    def test_it_can_be_said(self, tmp_path):
        training = Training()
        watch = PlateauWatch(step=lambda: 10 * training.trainer.state.epoch)
        watched(tmp_path, training, watch, epochs=4)
        assert [row.step for row in trace_in(tmp_path).rows] == [10, 20, 30, 40]
