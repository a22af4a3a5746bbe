"""torch's own ReduceLROnPlateau, built from our values: the oracle of the scheduler tests."""

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from plateau_watch.config import PlateauConfig
from plateau_watch.scheduler import PlateauState

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def as_lr(value, dtype):
    return value if dtype == "python" else torch.tensor(value, dtype=DTYPES[dtype])


def optimizer_with(lrs, lr_dtypes):
    """SGD with one parameter per group, its LRs floats or tensors."""
    groups = [
        {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": as_lr(lr, dtype)}
        for lr, dtype in zip(lrs, lr_dtypes, strict=True)
    ]
    return torch.optim.SGD(groups, lr=0.1)


def torch_scheduler(config: PlateauConfig, lrs, lr_dtypes) -> ReduceLROnPlateau:
    min_lr = list(config.min_lr) if isinstance(config.min_lr, tuple) else config.min_lr
    return ReduceLROnPlateau(
        optimizer_with(lrs, lr_dtypes),
        mode=config.mode,
        factor=config.factor,
        patience=config.patience,
        threshold=config.threshold,
        threshold_mode=config.threshold_mode,
        cooldown=config.cooldown,
        min_lr=min_lr,
        eps=config.eps,
    )


def lrs_of(scheduler) -> tuple[float, ...]:
    return tuple(float(group["lr"]) for group in scheduler.optimizer.param_groups)


def state_of(scheduler) -> tuple:
    """What must be equal after every step, as a tuple."""
    return (
        scheduler.best,
        scheduler.num_bad_epochs,
        scheduler.cooldown_counter,
        scheduler.last_epoch,
        lrs_of(scheduler),
    )


def as_oracle_state(state: PlateauState) -> tuple:
    return (
        state.best,
        state.num_bad_epochs,
        state.cooldown_counter,
        state.last_epoch,
        state.lrs,
    )
