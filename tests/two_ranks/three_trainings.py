"""What each rank does, and leaves: the LRs after each epoch, and what was warned of."""

import json
import warnings
from pathlib import Path

from plateau_watch.recorder import PlateauWatchWarning


def train_three_times(directory, rank_of, train, watch):
    """Train, and write what happened into DIRECTORY/rank_N.

    `train` takes where to log (nowhere, if None) and the watch, if there is one; it returns LRs.
    `rank_of` is asked afterwards, since some ranks have no number before they train.
    """
    seen = {
        "plain": _seen(train, directory / "plain", None),
        "watched": _seen(train, directory / "watched", watch()),
        "nowhere": _seen(train, None, watch()),
    }
    Path(directory / f"rank_{rank_of()}").write_text(json.dumps(seen))


def _seen(train, logdir, watch):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PlateauWatchWarning)
        lrs = train(logdir, watch)
    said = [str(each.message) for each in caught if each.category is PlateauWatchWarning]
    return {"lrs": lrs, "said": said}
