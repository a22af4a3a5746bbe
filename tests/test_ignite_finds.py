"""What ignite's handler finds at the engines, and what it says where there is nothing."""

import warnings

import torch

from plateau_watch.recorder import PlateauWatchWarning
from tests.framework_runs import METRIC, PATIENCE, lrs_after, messages, trace_in, traces_in
from tests.hooked_runs import all_warnings, in_a_process
from tests.ignite_runs import BaseLogger, Events, PlateauWatch, TensorboardLogger, Training, watched


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


def test_of_two_loggers_that_of_the_metric_is_written_to(tmp_path):
    training = Training()
    with (
        TensorboardLogger(str(tmp_path / "other")) as other,
        TensorboardLogger(str(tmp_path / "metric")) as logger,
    ):
        other.attach_opt_params_handler(training.trainer, Events.EPOCH_STARTED, training.optimizer)
        training.log_to(logger)
        PlateauWatch().attach(training.trainer, training.evaluator)
        training.run(3)
    ((run, _),) = traces_in(tmp_path)
    assert run == "metric"


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
