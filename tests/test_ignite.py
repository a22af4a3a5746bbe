"""ignite's handler: what it leaves in the log, what it leaves alone, and what it says."""

import io
import warnings
from copy import deepcopy

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

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
from tests.hooked_runs import aged, all_warnings, in_a_process, saved

with warnings.catch_warnings():
    # Importing ignite meets deprecations of its own dependencies.
    warnings.simplefilter("ignore")
    from ignite.engine import Engine, Events
    from ignite.handlers import ReduceLROnPlateauScheduler, global_step_from_engine
    from ignite.handlers.base_logger import BaseLogger
    from ignite.handlers.tensorboard_logger import TensorboardLogger

    from plateau_watch.integrations.ignite import PlateauWatch
    from plateau_watch.recorder import PlateauWatchWarning

BATCHES = 3
"""In an epoch."""

EPOCHS = len(METRIC)


class Training:
    """A trainer and an evaluator whose metric is METRIC, one value for each evaluation."""

    def __init__(self, metric=METRIC, scheduler="ignite", lr=0.1):
        self.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
        self.trainer = Engine(lambda *_: 0.0)
        self.evaluator = Engine(lambda *_: 0.0)
        self.metric = iter(metric)
        self.lrs = []
        self.evaluator.add_event_handler(Events.COMPLETED, self.measure)
        self.scheduler = None
        if scheduler == "ignite":
            self.scheduler = self.add_scheduler()
        elif scheduler == "own":
            self.scheduler = ReduceLROnPlateau(self.optimizer, patience=PATIENCE)
            self.evaluator.add_event_handler(
                Events.COMPLETED, lambda engine: self.scheduler.step(engine.state.metrics["loss"])
            )
        self.trainer.add_event_handler(Events.EPOCH_STARTED, self.note_lr)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: self.evaluator.run([0]))

    def add_scheduler(self, **parameters):
        scheduler = ReduceLROnPlateauScheduler(
            self.optimizer, "loss", trainer=self.trainer, patience=PATIENCE, **parameters
        )
        self.evaluator.add_event_handler(Events.COMPLETED, scheduler)
        return scheduler

    def measure(self, engine):
        engine.state.metrics["loss"] = next(self.metric)

    def note_lr(self):
        self.lrs.append(self.optimizer.param_groups[0]["lr"])

    def log_to(
        self, logger, axis=Events.EPOCH_COMPLETED, event=Events.COMPLETED, metrics=("loss",)
    ):
        logger.attach_output_handler(
            self.evaluator,
            event_name=event,
            tag="validation",
            metric_names=metrics if metrics == "all" else list(metrics),
            global_step_transform=global_step_from_engine(self.trainer, axis),
        )

    def run(self, epochs=EPOCHS):
        self.trainer.run([0] * BATCHES, max_epochs=epochs)


def watched(directory, training=None, watch=None, epochs=EPOCHS, **log):
    """Train with the handler."""
    training = training or Training()
    with TensorboardLogger(str(directory)) as logger:
        training.log_to(logger, **log)
        (watch or PlateauWatch()).attach(training.trainer, training.evaluator)
        training.run(epochs)
    return training


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


def states(scheduler):
    """The state of a scheduler, without the method of its own that ignite puts there."""
    return {name: value for name, value in scheduler.state_dict().items() if name != "_reduce_lr"}


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

    def test_it_can_be_said(self, tmp_path):
        training = Training()
        watch = PlateauWatch(step=lambda: 10 * training.trainer.state.epoch)
        watched(tmp_path, training, watch, epochs=4)
        assert [row.step for row in trace_in(tmp_path).rows] == [10, 20, 30, 40]


class TestSchedulers:
    def test_one_that_a_handler_of_the_users_own_steps_can_be_given(self, tmp_path):
        training = Training(scheduler="own")
        watched(tmp_path, training, PlateauWatch(training.scheduler))
        assert [row.new_lrs[0] for row in trace_in(tmp_path).rows] == lrs_after(
            METRIC, patience=PATIENCE
        )

    def test_each_of_several_has_a_prefix_of_its_own(self, tmp_path):
        training = Training()
        training.add_scheduler(mode="max")
        watched(tmp_path, training, PlateauWatch(prefix="mine"), epochs=3)
        traces = {prefix: trace for (_, prefix), trace in traces_in(tmp_path).items()}
        assert sorted(traces) == ["mine/0", "mine/1"]
        modes = [traces[prefix].rows[0].record.config.mode for prefix in sorted(traces)]
        assert modes == ["min", "max"]

    def test_one_that_is_attached_to_two_events_is_watched_once(self, tmp_path):
        training = Training()
        training.evaluator.add_event_handler(Events.STARTED(lambda *_: False), training.scheduler)
        watched(tmp_path, training, epochs=3)
        assert trace_in(tmp_path).prefix == "plateau"


class OtherLogger(BaseLogger):
    """A logger that does not write to TensorBoard."""

    def _create_output_handler(self, *_, **__):
        return lambda *_: None

    def _create_opt_params_handler(self, *_, **__):
        return lambda *_: None


class TestNothingToWatch:
    def message(self, training, *engines, watch=None):
        with all_warnings() as caught:
            (watch or PlateauWatch()).attach(training.trainer, *engines)
            training.run(2)
        assert training.trainer.state.epoch == 2
        (message,) = messages(caught)
        return message

    def test_no_scheduler_that_can_be_found(self, tmp_path):
        training = Training(scheduler="own")
        with TensorboardLogger(str(tmp_path)) as logger:
            training.log_to(logger)
            message = self.message(training, training.evaluator)
        assert message == (
            "PlateauWatch has nothing to watch: no ReduceLROnPlateauScheduler attached to these "
            "engines; give PlateauWatch the scheduler, or attach() the evaluator too "
            "(there is: none); training is not affected"
        )

    def test_an_evaluator_that_was_not_named(self, tmp_path):
        training = Training()
        with TensorboardLogger(str(tmp_path)) as logger:
            training.log_to(logger)
            assert "attach() the evaluator too" in self.message(training)

    def test_another_scheduler(self, tmp_path):
        training = Training(scheduler=None)
        other = torch.optim.lr_scheduler.StepLR(training.optimizer, 1)
        with TensorboardLogger(str(tmp_path)) as logger:
            training.log_to(logger)
            message = self.message(training, training.evaluator, watch=PlateauWatch(other))
        assert "(there is: StepLR)" in message

    def test_another_logger(self):
        training = Training()
        training.log_to(OtherLogger())
        assert self.message(training, training.evaluator) == (
            "PlateauWatch has nothing to watch: no TensorboardLogger attached to these engines "
            "(there is: OtherLogger); training is not affected"
        )

    def test_a_message_that_is_made_an_error_does_not_reach_the_training(self, caplog):
        warnings.simplefilter("error", PlateauWatchWarning)
        training = Training()
        PlateauWatch().attach(training.trainer, training.evaluator)
        training.run(2)
        assert training.trainer.state.epoch == 2
        assert "nothing to watch" in caplog.text


class TestRunningAgain:
    def resumed(self, train):
        """Train seven epochs, then go on from the states after the fifth; the LRs of the rest."""
        first, rest, saved = Training(), Training(METRIC[5:]), {}

        def save():
            saved["trainer"] = deepcopy(first.trainer.state_dict())
            saved["optimizer"] = deepcopy(first.optimizer.state_dict())
            saved["scheduler"] = deepcopy(states(first.scheduler.scheduler))

        first.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=5), save)
        train(first, 7)
        rest.trainer.load_state_dict(saved["trainer"])
        rest.optimizer.load_state_dict(saved["optimizer"])
        rest.scheduler.scheduler.load_state_dict(saved["scheduler"])
        train(rest, EPOCHS)
        return rest.lrs

    def resumed_and_watched(self, directory):
        def train(training, epochs):
            # tensorboardX would write over a file of the same second.
            aged(directory)
            watched(directory, training, epochs=epochs)

        return self.resumed(train)

    def test_a_resumed_training_and_the_one_before_replay_as_one(self, tmp_path):
        self.resumed_and_watched(tmp_path)
        report = replayed(tmp_path)
        assert report.recording.metric.tolist() == METRIC
        assert [row.step for row in report.recording.rows] == list(range(1, EPOCHS + 1))
        assert [row.new_lrs[0] for row in report.recording.rows] == lrs_after(
            METRIC, patience=PATIENCE
        )
        assert report.parity.exact
        assert report.recording.superseded == 2
        assert not report.warnings

    def test_a_resumed_training_is_that_of_an_unwatched_twin(self, tmp_path):
        lrs = self.resumed_and_watched(tmp_path)
        assert lrs == self.resumed(Training.run)
        assert len(set(lrs)) > 1

    def test_a_trainer_that_runs_again_without_a_logger_is_left_alone(self, tmp_path):
        training = Training()
        with TensorboardLogger(str(tmp_path)) as logger:
            handle = logger.attach_output_handler(
                training.evaluator, Events.COMPLETED, "validation", ["loss"]
            )
            PlateauWatch().attach(training.trainer, training.evaluator)
            training.run(2)
            handle.remove()
        with all_warnings() as caught:
            training.run(4)
        (message,) = messages(caught)
        assert "nothing to watch" in message

    def test_a_trainer_that_runs_again_is_watched_again(self, tmp_path):
        training = Training()
        with all_warnings() as caught, TensorboardLogger(str(tmp_path)) as logger:
            training.log_to(logger)
            PlateauWatch().attach(training.trainer, training.evaluator)
            training.run(4)
            training.run(8)
        assert not messages(caught)
        assert [row.metric for row in trace_in(tmp_path).rows] == METRIC[:8]


def test_where_ignite_is_not_installed_the_import_says_what_to_install():
    script = """
        import json, sys
        sys.modules["ignite"] = None
        try:
            import plateau_watch.integrations.ignite
        except ImportError as error:
            print(json.dumps(str(error)))
    """
    assert "pip install plateau-watch[ignite]" in in_a_process(script)
