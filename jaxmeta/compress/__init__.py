"""Smaller models that still adapt: pruning, quantisation and export.

Import the modules themselves (``from jaxmeta.compress import prune``): this file imports nothing.
"""
