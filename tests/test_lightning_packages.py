"""Lightning's callback goes with either of its two packages, and says so where there is none."""

import json

import pytest

from tests.framework_runs import METRIC, PATIENCE, lrs_after, trace_in
from tests.hooked_runs import in_a_process
from tests.lightning_runs import SINCE_2_6

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
