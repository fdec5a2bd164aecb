"""Regression of sinusoids from a few points."""
