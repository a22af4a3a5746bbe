"""Real frameworks' schedulers, one script each, run by any Python that has the framework.

Each reads a JSON list of cases from standard input and writes one of answers. A case has the
framework's own `config`, the starting `lrs` and the `metric`; its answer has `lrs`, those after
each step, and `state`, the framework's own counters after each step. NaN and infinities are
written as Python's json does.
"""
