"""The training side: `watch` logs every decision of a scheduler, and changes nothing.

watched_class puts us around `step`; snapshot reads the scheduler before and after; turns tells
whether other threads stepped it meanwhile; watch makes a row of the trace of it; sinks write that
to the user's log; complaint says what went wrong.
"""

from plateau_watch.recorder.complaint import PlateauWatchWarning
from plateau_watch.recorder.watch import Watch, watch

__all__ = ["PlateauWatchWarning", "Watch", "watch"]
