"""Trainer's callback: what it leaves in the log, what it leaves alone, and what it says."""

import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.tensorboard import SummaryWriter

from tests.framework_runs import (
    METRIC,
    PATIENCE,
    lrs_after,
    messages,
    replayed,
    steps_of,
    trace_in,
)
from tests.hooked_runs import all_warnings, in_a_process

with warnings.catch_warnings():
    # Importing transformers meets deprecations of its own dependencies.
    warnings.simplefilter("ignore")
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.integrations import TensorBoardCallback

    from plateau_watch.integrations.transformers import PlateauWatch
    from plateau_watch.recorder import PlateauWatchWarning

BATCHES = 3
"""In an epoch."""

EPOCHS = len(METRIC)


class Tiny(torch.nn.Module):
    """A model of one weight."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        outputs = self.layer(x)
        return {"loss": (outputs - labels).square().mean(), "outputs": outputs}


class Lrs(TrainerCallback):
    """The LR with which each epoch is trained."""

    def __init__(self):
        self.lrs = []

    def on_epoch_begin(self, args, state, control, optimizer=None, **_):
        self.lrs.append(optimizer.param_groups[0]["lr"])


@pytest.fixture(autouse=True)
def logdir(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    return tmp_path / "logs"


def trainer_in(directory, *callbacks, metric=METRIC, **options):
    """A trainer whose metric is METRIC, one value for each evaluation."""
    torch.manual_seed(0)
    script = iter(metric)
    options = {
        "num_train_epochs": EPOCHS,
        "learning_rate": 0.1,
        "lr_scheduler_type": "reduce_lr_on_plateau",
        "lr_scheduler_kwargs": {"patience": PATIENCE},
        "metric_for_best_model": "scripted",
        "greater_is_better": False,
        "eval_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "tensorboard",
        **options,
    }
    data = [{"x": torch.ones(1), "labels": torch.zeros(1)}] * BATCHES
    return Trainer(
        model=Tiny(),
        args=TrainingArguments(
            output_dir=str(directory / "output"),
            per_device_train_batch_size=1,
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **options,
        ),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=lambda _: {"scripted": next(script)},
        callbacks=list(callbacks),
    )


class TestATraining:
    def test_the_trace_is_what_an_unwatched_scheduler_does(self, tmp_path, logdir):
        trainer_in(tmp_path, PlateauWatch()).train()
        report = replayed(logdir)
        assert report.recording.metric.tolist() == METRIC
        assert report.recording.config.patience == PATIENCE
        assert [row.new_lrs[0] for row in report.recording.rows] == lrs_after(
            METRIC, patience=PATIENCE
        )
        assert report.parity.exact
        assert not report.warnings

    def test_the_training_is_that_of_an_unwatched_twin(self, tmp_path):
        plain, hooked = Lrs(), Lrs()
        unwatched = trainer_in(tmp_path / "plain", plain)
        watched = trainer_in(tmp_path / "hooked", PlateauWatch(), hooked)
        unwatched.train()
        watched.train()
        assert hooked.lrs == plain.lrs == [0.1, *lrs_after(METRIC, patience=PATIENCE)[:-1]]
        assert watched.model.layer.weight == unwatched.model.layer.weight
        assert watched.lr_scheduler.state_dict() == unwatched.lr_scheduler.state_dict()

    def test_the_scheduler_has_its_plain_class_back_afterwards(self, tmp_path):
        trainer = trainer_in(tmp_path, PlateauWatch(), num_train_epochs=2)
        trainer.train()
        assert type(trainer.lr_scheduler) is ReduceLROnPlateau

    def test_after_a_training_that_broke_off_the_next_is_watched(self, tmp_path, logdir):
        class Failing(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                if state.global_step == 2 * BATCHES + 1:
                    raise KeyError("mine")

        metric = [*METRIC, *METRIC[:2]]
        trainer = trainer_in(tmp_path, PlateauWatch(), Failing(), metric=metric)
        with pytest.raises(KeyError, match="mine"):
            trainer.train()
        trainer.remove_callback(Failing)
        with all_warnings() as caught:
            trainer.train()
        assert not messages(caught)
        assert [row.metric for row in trace_in(logdir).rows] == metric[2:]

    def test_after_a_training_that_broke_off_another_without_a_writer_is_left_alone(self, tmp_path):
        class Failing(TrainerCallback):
            def on_step_end(self, args, state, control, **_):
                raise KeyError("mine")

        trainer = trainer_in(tmp_path, PlateauWatch(), Failing(), num_train_epochs=2)
        trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)
        trainer.lr_scheduler = ReduceLROnPlateau(trainer.optimizer)
        with pytest.raises(KeyError, match="mine"):
            trainer.train()
        trainer.remove_callback(Failing)
        trainer.pop_callback(TensorBoardCallback).tb_writer.close()
        with all_warnings() as caught:
            trainer.train()
        (message,) = messages(caught)
        assert "nothing to watch" in message


class TestTheAxis:
    def test_it_is_that_of_the_evaluation_after_each_epoch(self, tmp_path, logdir):
        trainer_in(tmp_path, PlateauWatch(), num_train_epochs=4).train()
        steps = [row.step for row in trace_in(logdir).rows]
        assert steps == steps_of(logdir, "eval/scripted") == [3, 6, 9, 12]
        assert steps == steps_of(logdir, "plateau/metric")

    def test_it_is_that_of_evaluations_every_few_steps(self, tmp_path, logdir):
        trainer_in(
            tmp_path, PlateauWatch(), num_train_epochs=4, eval_strategy="steps", eval_steps=2
        ).train()
        steps = [row.step for row in trace_in(logdir).rows]
        assert steps == steps_of(logdir, "eval/scripted") == [2, 4, 6, 8, 10, 12]

    def test_batches_whose_gradients_are_accumulated_count_once_as_in_the_log(
        self, tmp_path, logdir
    ):
        trainer_in(
            tmp_path, PlateauWatch(), num_train_epochs=4, gradient_accumulation_steps=2
        ).train()
        steps = [row.step for row in trace_in(logdir).rows]
        assert steps == steps_of(logdir, "eval/scripted") == [2, 4, 6, 8]


class TestTheWriter:
    @pytest.mark.parametrize("order", ["before", "after"])
    def test_one_that_the_user_gave_to_trainers_callback_is_found(self, tmp_path, order):
        with SummaryWriter(str(tmp_path / "mine")) as writer:
            callbacks = [PlateauWatch(), TensorBoardCallback(writer)]
            ordered = callbacks if order == "before" else callbacks[::-1]
            trainer_in(tmp_path, *ordered, num_train_epochs=3, report_to="none").train()
        assert len(trace_in(tmp_path / "mine").rows) == 3

    def test_of_two_trainers_each_has_its_own(self, tmp_path, monkeypatch):
        inner = trainer_in(tmp_path / "a", PlateauWatch(), num_train_epochs=3)

        class TrainsAnother(TrainerCallback):
            def on_epoch_end(self, args, state, control, **_):
                if state.epoch == 1:
                    inner.train()

        monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "outer"))
        outer = trainer_in(tmp_path / "b", TrainsAnother(), PlateauWatch(), num_train_epochs=2)
        outer.train()
        assert len(trace_in(tmp_path / "logs").rows) == 3
        assert len(trace_in(tmp_path / "outer").rows) == 2

    def test_one_that_passes_its_calls_on_to_the_watch_does_not_hide_the_writer(
        self, tmp_path, logdir
    ):
        class Passing(TrainerCallback):
            def __init__(self, *callbacks):
                self.callbacks = list(callbacks)

            def on_epoch_begin(self, *arguments, **more):
                for callback in self.callbacks:
                    callback.on_epoch_begin(*arguments, **more)

        trainer_in(tmp_path, Passing(PlateauWatch()), num_train_epochs=2).train()
        assert len(trace_in(logdir).rows) == 2

    def test_the_prefix_can_be_said(self, tmp_path, logdir):
        trainer_in(tmp_path, PlateauWatch(prefix="mine/plateau"), num_train_epochs=2).train()
        assert trace_in(logdir).prefix == "mine/plateau"


class TestNothingToWatch:
    def message(self, tmp_path, **options):
        with all_warnings() as caught:
            trainer = trainer_in(tmp_path, PlateauWatch(), num_train_epochs=2, **options)
            trainer.train()
        assert trainer.state.global_step == 2 * BATCHES
        (message,) = messages(caught)
        return message

    def test_another_scheduler(self, tmp_path):
        options = {"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {}}
        assert self.message(tmp_path, **options) == (
            "PlateauWatch has nothing to watch: no ReduceLROnPlateau in Trainer, say "
            'lr_scheduler_type="reduce_lr_on_plateau" (there is: LambdaLR); '
            "training is not affected"
        )

    def test_no_tensorboard(self, tmp_path):
        assert self.message(tmp_path, report_to="none").startswith(
            "PlateauWatch has nothing to watch: no TensorBoardCallback among Trainer's callbacks, "
            'say report_to="tensorboard" (there is: DefaultFlowCallback, '
        )

    def test_a_message_that_is_made_an_error_does_not_reach_the_training(self, tmp_path, caplog):
        warnings.simplefilter("error", PlateauWatchWarning)
        trainer = trainer_in(tmp_path, PlateauWatch(), num_train_epochs=2, report_to="none")
        trainer.train()
        assert trainer.state.global_step == 2 * BATCHES
        assert "nothing to watch" in caplog.text


class TestTrainingAgain:
    def resumed(self, directory, *callbacks):
        """Train seven epochs, then go on from the checkpoint of the fifth."""
        trainer_in(directory, *callbacks, num_train_epochs=7, save_strategy="epoch").train()
        again = trainer_in(directory, *callbacks, metric=METRIC[5:])
        path = directory / "output" / f"checkpoint-{5 * BATCHES}"
        again.train(resume_from_checkpoint=str(path))
        return again

    def test_a_resumed_training_and_the_one_before_replay_as_one(self, tmp_path, logdir):
        self.resumed(tmp_path, PlateauWatch())
        report = replayed(logdir)
        assert report.recording.metric.tolist() == METRIC
        assert [row.step for row in report.recording.rows] == list(
            range(BATCHES, BATCHES * EPOCHS + 1, BATCHES)
        )
        assert [row.new_lrs[0] for row in report.recording.rows] == lrs_after(
            METRIC, patience=PATIENCE
        )
        assert report.parity.exact
        assert report.recording.superseded == 2
        assert not report.warnings

    def test_a_resumed_training_is_that_of_an_unwatched_twin(self, tmp_path):
        watched = self.resumed(tmp_path / "hooked", PlateauWatch())
        unwatched = self.resumed(tmp_path / "plain")
        assert watched.lr_scheduler.state_dict() == unwatched.lr_scheduler.state_dict()
        assert watched.model.layer.weight == unwatched.model.layer.weight

    def test_a_trainer_that_trains_again_is_watched_again(self, tmp_path, logdir):
        trainer = trainer_in(tmp_path, PlateauWatch(), num_train_epochs=4)
        with all_warnings() as caught:
            trainer.train()
            trainer.train()
        assert not messages(caught)
        rows = trace_in(logdir).rows
        assert [row.metric for row in rows] == METRIC[4:8]
        assert trace_in(logdir).superseded == 4


def test_where_transformers_is_not_installed_the_import_says_what_to_install():
    script = """
        import json, sys
        sys.modules["transformers"] = None
        try:
            import plateau_watch.integrations.transformers
        except ImportError as error:
            print(json.dumps(str(error)))
    """
    assert "pip install plateau-watch[transformers]" in in_a_process(script)
