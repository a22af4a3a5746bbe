"""Lightning's callback: what it leaves in the log, and what it leaves alone."""

import pickle

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tests.framework_runs import METRIC, PATIENCE, lrs_after, replayed, steps_of, trace_in
from tests.lightning_runs import (
    ADVICE,
    PlateauWatch,
    Scripted,
    batches,
    checkpoint,
    fit,
    pl,
    trainer_in,
)

pytestmark = ADVICE


class TestAFit:
    def test_the_trace_is_what_an_unwatched_scheduler_does(self, tmp_path):
        fit(tmp_path, PlateauWatch())
        report = replayed(tmp_path)
        assert report.recording.metric.tolist() == METRIC
        assert report.recording.config.patience == PATIENCE
        assert [row.new_lrs[0] for row in report.recording.rows] == lrs_after(
            METRIC, patience=PATIENCE
        )
        assert report.parity.exact
        assert not report.warnings

    def test_the_training_is_that_of_an_unwatched_twin(self, tmp_path):
        pl.seed_everything(0, verbose=False)
        plain, unwatched = fit(tmp_path / "plain")
        pl.seed_everything(0, verbose=False)
        hooked, watched = fit(tmp_path / "hooked", PlateauWatch())
        assert watched.lrs == unwatched.lrs
        assert len(set(watched.lrs)) > 1
        saved = checkpoint(plain, tmp_path / "a"), checkpoint(hooked, tmp_path / "b")
        assert pickle.dumps(saved[0]["lr_schedulers"]) == pickle.dumps(saved[1]["lr_schedulers"])
        assert saved[0]["optimizer_states"] == saved[1]["optimizer_states"]
        assert saved[0]["state_dict"]["layer.bias"] == saved[1]["state_dict"]["layer.bias"]

    def test_the_scheduler_has_its_plain_class_back_afterwards(self, tmp_path):
        scheduler = []
        keep = Scripted(scheduler=lambda o: scheduler.append(ReduceLROnPlateau(o)) or scheduler[0])
        fit(tmp_path, PlateauWatch(), module=keep, epochs=2)
        assert type(scheduler[0]) is ReduceLROnPlateau

    def test_an_exception_of_the_training_comes_through_and_ends_the_watch(self, tmp_path):
        scheduler = []

        class Failing(Scripted):
            def on_train_epoch_end(self):
                if self.current_epoch == 2:
                    raise KeyError("mine")

        module = Failing(scheduler=lambda o: scheduler.append(ReduceLROnPlateau(o)) or scheduler[0])
        with pytest.raises(KeyError, match="mine"):
            fit(tmp_path, PlateauWatch(), module=module)
        assert type(scheduler[0]) is ReduceLROnPlateau
        assert len(trace_in(tmp_path).rows) == 2


class SteppedByHand(Scripted):
    """Its scheduler is stepped within each training step."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, _):
        loss = self.layer(batch[0]).sum()
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()
        self.log("train_loss", loss)
        self.lr_schedulers().step(loss.detach())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [ReduceLROnPlateau(optimizer)]


class EveryOtherBatch(Scripted):
    """Lightning steps its scheduler every other batch, on the loss of that batch."""

    def __init__(self):
        super().__init__(monitor="train_loss", interval="step", frequency=2)

    def training_step(self, batch, _):
        loss = self.layer(batch[0]).sum()
        self.log("train_loss", loss)
        return loss

    def on_train_epoch_end(self):
        pass


class TestTheAxis:
    @pytest.mark.parametrize("interval", ["epoch", "step"])
    def test_it_is_that_of_the_validation_loss(self, tmp_path, interval):
        fit(tmp_path, PlateauWatch(), module=Scripted(interval=interval), epochs=4)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == [2, 5, 8, 11]
        assert steps == steps_of(tmp_path, "val_loss") == steps_of(tmp_path, "plateau/metric")

    def test_it_is_that_of_a_metric_logged_at_the_end_of_training_epochs(self, tmp_path):
        fit(tmp_path, PlateauWatch(), module=Scripted(monitor="train_loss"), epochs=4)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == steps_of(tmp_path, "train_loss") == [2, 5, 8, 11]

    def test_batches_whose_gradients_are_accumulated_count_once_as_in_the_logger(self, tmp_path):
        fit(tmp_path, PlateauWatch(), epochs=4, accumulate_grad_batches=2)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == steps_of(tmp_path, "val_loss") == [1, 3, 5, 7]

    def test_it_is_that_of_the_batch_for_a_scheduler_that_training_step_steps(self, tmp_path):
        fit(tmp_path, PlateauWatch(), module=SteppedByHand(), epochs=2, log_every_n_steps=1)
        steps = [row.step for row in trace_in(tmp_path).rows]
        assert steps == steps_of(tmp_path, "train_loss") == [0, 1, 2, 3, 4, 5]

    def test_it_is_that_of_a_metric_of_every_batch_with_steps_every_few(self, tmp_path):
        fit(tmp_path, PlateauWatch(), module=EveryOtherBatch(), epochs=3, log_every_n_steps=1)
        assert steps_of(tmp_path, "train_loss") == list(range(9))
        assert [row.step for row in trace_in(tmp_path).rows] == [1, 4, 7]

    def test_a_validation_outside_of_a_fit_leaves_no_row(self, tmp_path):
        module = Scripted([9.0, *METRIC[:3], 9.0])
        trainer = trainer_in(tmp_path, PlateauWatch(), epochs=3, num_sanity_val_steps=0)
        trainer.validate(module, batches(), verbose=False)
        trainer.fit(module, batches(), batches())
        trainer.validate(module, batches(), verbose=False)
        assert [row.metric for row in trace_in(tmp_path).rows] == METRIC[:3]

    def test_it_can_be_said(self, tmp_path):
        trainer = trainer_in(tmp_path, epochs=4)
        trainer.callbacks.append(PlateauWatch(step=lambda: trainer.current_epoch))
        trainer.fit(Scripted(), batches(), batches())
        assert [row.step for row in trace_in(tmp_path).rows] == [0, 1, 2, 3]
