"""Trainings with several processes, each a script as its framework's users write one.

    SCRIPT DIRECTORY METRIC

trains three times in the same processes, on a metric whose mean over the ranks is METRIC, a JSON
list: without PlateauWatch, with it, and with it but without a TensorBoard writer.
"""
