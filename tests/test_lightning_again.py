"""Lightning's callback in a training that goes on: resumed, or fitted again."""

from tests.framework_runs import METRIC, messages, replayed, steps_of, trace_in
from tests.hooked_runs import all_warnings
from tests.lightning_runs import (
    ADVICE,
    BATCHES,
    EPOCHS,
    WHOLE_CHECKPOINT,
    ModelCheckpoint,
    PlateauWatch,
    Scripted,
    batches,
    fit,
    trainer_in,
)

pytestmark = ADVICE


class TestFittingAgain:
    def saved(self, directory, callbacks, module, epochs=EPOCHS, ckpt_path=None):
        """Train, and save a checkpoint after each epoch."""
        saving = ModelCheckpoint(directory / "saved", "{epoch}", save_top_k=-1)
        trainer = trainer_in(
            directory, saving, *callbacks, epochs=epochs, enable_checkpointing=True
        )
        trainer.fit(module, batches(), batches(), ckpt_path=ckpt_path, **WHOLE_CHECKPOINT)

    def resumed(self, directory, *callbacks):
        """Train seven epochs, then go on from the checkpoint of the fifth; the LRs of the rest."""
        self.saved(directory, callbacks, Scripted(), epochs=7)
        module = Scripted(METRIC[5:])
        self.saved(directory, callbacks, module, ckpt_path=directory / "saved" / "epoch=4.ckpt")
        return module.lrs

    def test_a_resumed_training_and_the_one_before_replay_as_one(self, tmp_path):
        lrs = self.resumed(tmp_path, PlateauWatch())
        report = replayed(tmp_path)
        assert report.recording.metric.tolist() == METRIC
        assert [row.step for row in report.recording.rows] == list(
            range(2, BATCHES * len(METRIC), BATCHES)
        )
        assert [row.old_lrs[0] for row in report.recording.rows[5:]] == lrs
        assert report.parity.exact
        assert report.recording.superseded == 2

    def test_the_scheduler_step_that_lightning_loses_in_its_checkpoint_is_said(self, tmp_path):
        self.resumed(tmp_path, PlateauWatch())
        rows = trace_in(tmp_path).rows
        assert [row.last_epoch for row in rows] == [1, 2, 3, 4, 5, *range(5, 12)]
        assert replayed(tmp_path).warnings == (
            "changed from outside before step 17: best and counters (a loaded state)",
        )

    def test_a_resumed_training_is_that_of_an_unwatched_twin(self, tmp_path):
        watched = self.resumed(tmp_path / "hooked", PlateauWatch())
        assert watched == self.resumed(tmp_path / "plain")
        assert len(set(watched)) > 1

    def test_a_trainer_that_fits_again_is_watched_again(self, tmp_path):
        with all_warnings() as caught:
            trainer, module = fit(tmp_path, PlateauWatch(), epochs=4)
            trainer.fit_loop.max_epochs = 8
            trainer.fit(module, batches(), batches())
        assert not messages(caught)
        rows = trace_in(tmp_path).rows
        assert [row.metric for row in rows] == METRIC[:8]
        assert [row.step for row in rows] == steps_of(tmp_path, "val_loss")
