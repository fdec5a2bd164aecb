"""Misses and false alarms of wake words from five recordings."""
