"""Comparisons with other software, run by hand; their results are in docs/."""
