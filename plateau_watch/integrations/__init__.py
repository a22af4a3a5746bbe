"""Callbacks that find a framework's plateau schedulers and TensorBoard writer by themselves.

One module for each framework, which alone imports it; attachment is what they share. Importing
this package imports none of them.
"""
