"""What Lightning's callback finds in a trainer, and what it says where there is nothing."""

import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from plateau_watch.recorder import PlateauWatchWarning
from tests.framework_runs import METRIC, messages, steps_of, trace_in, traces_in
from tests.hooked_runs import all_warnings, event_files
from tests.lightning_runs import ADVICE, CSVLogger, PlateauWatch, Scripted, TensorBoardLogger, fit

pytestmark = ADVICE


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


class OnePlateauOfTwo(TwoSchedulers):
    """Two optimizers, of which one has another scheduler."""

    def __init__(self):
        super().__init__(names=())

    def on_train_epoch_end(self):
        other, plateau = self.lr_schedulers()
        other.step()
        plateau.step(self.trainer.callback_metrics["val_loss"])

    def configure_optimizers(self):
        first, second = (torch.optim.SGD(self.parameters(), lr=lr) for lr in (0.1, 0.2))
        plateau = {"scheduler": ReduceLROnPlateau(second), "name": "generator"}
        return [first, second], [StepLR(first, 1), plateau]


@pytest.mark.filterwarnings("ignore:.*`automatic_optimization = False`:UserWarning")
def test_the_one_plateau_scheduler_among_others_has_the_plain_prefix(tmp_path):
    fit(tmp_path, PlateauWatch(), module=OnePlateauOfTwo(), epochs=3)
    trace = trace_in(tmp_path)
    assert trace.prefix == "plateau"
    assert [row.old_lrs for row in trace.rows] == [(0.2,)] * 3


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

    def test_a_fast_dev_run_which_lightning_keeps_out_of_the_log_is_no_fault(self, tmp_path):
        with all_warnings() as caught:
            fit(tmp_path, PlateauWatch(), fast_dev_run=True)
        assert not messages(caught)
        assert not event_files(tmp_path)

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
