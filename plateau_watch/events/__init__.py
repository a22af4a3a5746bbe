"""Event files: bytes <-> values. Nothing here knows how a scheduler decides.

records -> wire -> summaries -> run_reader: bytes become records, records fields, fields points
and trace rows, and those the series and traces of a run. `logdir` finds the files.
"""
