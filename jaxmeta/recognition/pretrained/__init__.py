"""Recognisers that were trained elsewhere."""
