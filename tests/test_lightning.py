"""Lightning's callback: what it leaves in the log, what it leaves alone, and what it says."""

import inspect
import json
import pickle
import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

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
from tests.hooked_runs import all_warnings, in_a_process

with warnings.catch_warnings():
    # Importing Lightning meets deprecations of its own dependencies.
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    from plateau_watch.integrations.lightning import PlateauWatch
    from plateau_watch.recorder import PlateauWatchWarning

pytestmark = [
    # Lightning's advice on speed, none of it about a training of three batches.
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval:UserWarning"),
    # Lightning's own use of a torch class that torch has deprecated.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    # A resumed training saves where the one before has saved.
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]

BATCHES = 3
"""In an epoch."""

EPOCHS = len(METRIC)

SINCE_2_6 = "weights_only" in inspect.signature(pl.Trainer.fit).parameters
"""Lightning 2.5 has no such argument, and refuses the callbacks of its other package."""

WHOLE_CHECKPOINT = {"weights_only": False} if SINCE_2_6 else {}


class Scripted(pl.LightningModule):
    """A module whose metric is METRIC, one value for each validation."""

    def __init__(self, metric=METRIC, interval="epoch", monitor="val_loss", scheduler=None):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.interval = interval
        self.monitor = monitor
        self.scheduler = scheduler or (
            lambda optimizer: ReduceLROnPlateau(optimizer, patience=PATIENCE)
        )
        self.metric = iter(metric)
        self.lrs = []

    def training_step(self, batch, _):
        return self.layer(batch[0]).sum()

    def on_train_epoch_start(self):
        self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self):
        if self.monitor == "train_loss":
            self.log("train_loss", next(self.metric))

    def validation_step(self, *_):
        pass

    def on_validation_epoch_end(self):
        if self.monitor == "val_loss" and not self.trainer.sanity_checking:
            self.log("val_loss", next(self.metric))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = self.scheduler(optimizer)
        if scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "monitor": self.monitor,
                "interval": self.interval,
                "frequency": BATCHES if self.interval == "step" else 1,
            },
        }


def trainer_in(directory, *callbacks, epochs=EPOCHS, **options):
    options.setdefault("logger", TensorBoardLogger(directory, version=0))
    options.setdefault("enable_checkpointing", False)
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def batches():
    return DataLoader(TensorDataset(torch.ones(BATCHES, 1)), batch_size=1)


def fit(directory, *callbacks, module=None, **options):
    module = module or Scripted()
    trainer = trainer_in(directory, *callbacks, **options)
    trainer.fit(module, batches(), batches())
    return trainer, module


def checkpoint(trainer, path):
    trainer.save_checkpoint(path)
    loaded = torch.load(path, weights_only=False)
    return {name: loaded[name] for name in ("optimizer_states", "lr_schedulers", "state_dict")}


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

    def test_it_can_be_said(self, tmp_path):
        trainer = trainer_in(tmp_path, epochs=4)
        trainer.callbacks.append(PlateauWatch(step=lambda: trainer.current_epoch))
        trainer.fit(Scripted(), batches(), batches())
        assert [row.step for row in trace_in(tmp_path).rows] == [0, 1, 2, 3]


class TwoSchedulers(Scripted):
    """Two optimizers, as a GAN has, stepped by hand."""

    def __init__(self, names):
        super().__init__()
        self.automatic_optimization = False
        self.names = names

    def training_step(self, batch, _):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(self.layer(batch[0]).sum())
            optimizer.step()

    def on_train_epoch_end(self):
        first, second = self.lr_schedulers()
        value = self.trainer.callback_metrics["val_loss"]
        first.step(value)
        second.step(-value)

    def configure_optimizers(self):
        optimizers = [torch.optim.SGD(self.parameters(), lr=lr) for lr in (0.1, 0.2)]
        schedulers = [
            {"scheduler": ReduceLROnPlateau(optimizer, mode=mode), **name}
            for optimizer, mode, name in zip(optimizers, ("min", "max"), self.names, strict=True)
        ]
        return optimizers, schedulers


class TestSeveralSchedulers:
    @pytest.mark.parametrize(
        ("names", "prefixes"),
        [
            (({"name": "critic"}, {"name": "generator"}), ["plateau/critic", "plateau/generator"]),
            (({}, {}), ["plateau/0", "plateau/1"]),
            (({"name": "a b"}, {"name": ".."}), ["plateau/0", "plateau/1"]),
            (({"name": "same"}, {"name": "same"}), ["plateau/0", "plateau/1"]),
        ],
    )
    @pytest.mark.filterwarnings("ignore:.*`automatic_optimization = False`:UserWarning")
    def test_each_has_a_prefix_of_its_own(self, tmp_path, names, prefixes):
        fit(tmp_path, PlateauWatch(), module=TwoSchedulers(names), epochs=3)
        traces = {prefix: trace for (_, prefix), trace in traces_in(tmp_path).items()}
        assert sorted(traces) == prefixes
        first, second = (traces[prefix] for prefix in prefixes)
        assert [row.metric for row in first.rows] == METRIC[:3]
        assert [row.metric for row in second.rows] == [-value for value in METRIC[:3]]
        assert [row.step for row in first.rows] == steps_of(tmp_path, "val_loss")


class TestNothingToWatch:
    def message(self, tmp_path, **parts):
        with all_warnings() as caught:
            trainer, _ = fit(tmp_path, PlateauWatch(), epochs=2, **parts)
        assert trainer.current_epoch == 2
        (message,) = messages(caught)
        return message

    def test_no_scheduler(self, tmp_path):
        module = Scripted(scheduler=lambda _: None)
        assert self.message(tmp_path, module=module) == (
            "PlateauWatch has nothing to watch: no ReduceLROnPlateau among the trainer's "
            "schedulers (there is: none); training is not affected"
        )

    def test_another_scheduler(self, tmp_path):
        module = Scripted(scheduler=lambda optimizer: StepLR(optimizer, 1))
        assert "(there is: StepLR)" in self.message(tmp_path, module=module)

    def test_another_logger(self, tmp_path):
        assert self.message(tmp_path, logger=CSVLogger(tmp_path)) == (
            "PlateauWatch has nothing to watch: no TensorBoardLogger among the trainer's loggers "
            "(there is: CSVLogger); training is not affected"
        )

    def test_no_logger(self, tmp_path):
        assert "(there is: none)" in self.message(tmp_path, logger=False)

    def test_a_second_logger_is_no_hindrance(self, tmp_path):
        loggers = [CSVLogger(tmp_path / "csv"), TensorBoardLogger(tmp_path / "tb", version=0)]
        fit(tmp_path, PlateauWatch(), epochs=3, logger=loggers)
        assert len(trace_in(tmp_path / "tb").rows) == 3

    def test_a_message_that_is_made_an_error_does_not_reach_the_training(self, tmp_path, caplog):
        warnings.simplefilter("error", PlateauWatchWarning)
        trainer, _ = fit(tmp_path, PlateauWatch(), epochs=2, logger=False)
        assert trainer.current_epoch == 2
        assert "nothing to watch" in caplog.text

    def test_a_scheduler_that_is_watched_already_keeps_its_first_watch(self, tmp_path):
        with all_warnings() as caught:
            fit(tmp_path, PlateauWatch(), PlateauWatch(prefix="again"), epochs=2)
        assert "watched already" in messages(caught)[0]
        assert trace_in(tmp_path).prefix == "plateau"


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


OTHER_PACKAGE = """
    import json, sys, warnings
    warnings.simplefilter("ignore")
    if sys.argv[3] == "callback first":
        from plateau_watch.integrations.lightning import PlateauWatch
    import pytorch_lightning as pl
    import torch
    from torch.optim.lr_scheduler import ReduceLROnPlateau
    from plateau_watch.integrations.lightning import PlateauWatch

    metric = iter(json.loads(sys.argv[2]))

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            return self.layer(batch).sum()

        def on_train_epoch_end(self):
            self.log("loss", next(metric))

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            scheduler = ReduceLROnPlateau(optimizer, patience=1)
            return {"optimizer": optimizer, "lr_scheduler": scheduler, "monitor": "loss"}

    pl.Trainer(
        accelerator="cpu", max_epochs=12, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, logger=pl.loggers.TensorBoardLogger(sys.argv[1]),
        callbacks=[PlateauWatch()],
    ).fit(Module(), torch.utils.data.DataLoader(torch.ones(2, 1)))
    print(json.dumps("lightning.pytorch" in sys.modules))
"""


CALLBACK_FIRST = pytest.param(
    "callback first",
    marks=pytest.mark.skipif(not SINCE_2_6, reason="Lightning 2.5 takes no callback of the other"),
)


@pytest.mark.parametrize("order", [CALLBACK_FIRST, "trainer first"])
def test_a_trainer_of_pytorch_lightning_takes_the_callback_too(tmp_path, order):
    loaded = in_a_process(OTHER_PACKAGE, tmp_path, json.dumps(METRIC), order)
    assert [row.new_lrs[0] for row in trace_in(tmp_path).rows] == lrs_after(
        METRIC, patience=PATIENCE
    )
    assert loaded == (order == "callback first")


def test_where_lightning_is_not_installed_the_import_says_what_to_install():
    script = """
        import json, sys
        sys.modules.update({"lightning": None, "pytorch_lightning": None})
        try:
            import plateau_watch.integrations.lightning
        except ImportError as error:
            print(json.dumps(str(error)))
    """
    assert in_a_process(script) == (
        "neither lightning nor pytorch_lightning is installed: pip install plateau-watch[lightning]"
    )
