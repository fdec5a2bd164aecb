"""Channels of the map on a whole trained recogniser."""
