"""Errors: one exception for each thing the caller can do about it.

PlateauWatchError            anything plateau-watch refuses; its message is one clear line
+-- ConfigError              a parameter torch would refuse, or one that means nothing: change it
+-- NothingToReadError       no such directory, no event file, no such tag: look elsewhere
+-- NotEnoughToldError       the log does not record what is needed: say it with an option
+-- OutputRefusedError       writing there is impossible or touches the user's runs: elsewhere
+-- OutputUnfinishedError    writing began and there is no room (a full disk): make some
+-- WatchError               this scheduler or writer cannot be watched: pass another

What was found *in* a file (truncated, corrupt, superseded) is not an error but part of the
result, and is reported there. Any other exception is a bug.
"""


class PlateauWatchError(Exception):
    """Whatever plateau-watch refuses to do; the message is one line to show as it is."""


class ConfigError(PlateauWatchError, ValueError):
    """A parameter of the scheduler has a value that torch refuses or that means nothing."""


class NothingToReadError(PlateauWatchError):
    """There is no such directory, event file, run or tag."""


class NotEnoughToldError(PlateauWatchError):
    """The log does not record something a replay needs, and no option said it."""


class OutputRefusedError(PlateauWatchError):
    """Writing to this place would change the user's own runs, or cannot be done."""


class OutputUnfinishedError(PlateauWatchError):
    """Writing could not be brought to its end: the disk is full, or failed."""


class WatchError(PlateauWatchError):
    """This scheduler or writer cannot be watched."""
