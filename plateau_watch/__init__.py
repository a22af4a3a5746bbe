"""plateau-watch makes torch's ReduceLROnPlateau explain itself.

    import plateau_watch
    plateau_watch.watch(scheduler, writer)

Importing this package loads neither torch nor tensorboard, click or numba.
"""

from plateau_watch.config import PlateauConfig
from plateau_watch.decision import Decision, in_words
from plateau_watch.recorder import Watch, watch
from plateau_watch.replay import Trace, replay
from plateau_watch.scheduler import PlateauState, step

__version__ = "0.1.0"

__all__ = [
    "Decision",
    "PlateauConfig",
    "PlateauState",
    "Trace",
    "Watch",
    "in_words",
    "replay",
    "step",
    "watch",
]
