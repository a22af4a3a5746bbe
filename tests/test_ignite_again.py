"""ignite's handler in a training that goes on: resumed, or run again."""

from copy import deepcopy

from tests.framework_runs import (
    METRIC,
    PATIENCE,
    lrs_after,
    messages,
    replayed,
    trace_in,
    traces_in,
)
from tests.hooked_runs import aged, all_warnings, events_in, values_of
from tests.ignite_runs import (
    EPOCHS,
    Events,
    PlateauWatch,
    TensorboardLogger,
    Training,
    states,
    watched,
)


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

    def test_each_trainer_that_a_watch_is_attached_to_is_watched_when_it_runs(self, tmp_path):
        watch, trainings = PlateauWatch(), (Training(), Training())
        for name, training in zip("ab", trainings, strict=True):
            training.log_to(TensorboardLogger(str(tmp_path / name)))
            watch.attach(training.trainer, training.evaluator)
        for training in trainings:
            training.run(3)
        watch.close()
        for training in trainings:
            training.logger.close()
        rows = {run: len(trace.rows) for (run, _), trace in traces_in(tmp_path).items()}
        assert rows == {"a": 3, "b": 3}

    def test_a_watch_that_is_attached_again_watches_once(self, tmp_path):
        training, watch = Training(), PlateauWatch()
        watch.attach(training.trainer)
        with all_warnings() as caught:
            watched(tmp_path, training, watch, epochs=3)
        assert not messages(caught)
        assert len(trace_in(tmp_path).rows) == 3
        assert sum("plateau/config" in values_of(event) for event in events_in(tmp_path)) == 1

    def test_a_trainer_that_runs_again_is_watched_again(self, tmp_path):
        training = Training()
        with all_warnings() as caught, TensorboardLogger(str(tmp_path)) as logger:
            training.log_to(logger)
            PlateauWatch().attach(training.trainer, training.evaluator)
            training.run(4)
            training.run(8)
        assert not messages(caught)
        assert [row.metric for row in trace_in(tmp_path).rows] == METRIC[:8]
