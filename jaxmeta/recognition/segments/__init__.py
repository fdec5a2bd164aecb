"""Recordings in stretches: where they are cut, what is said in each and when, and the formats that hold it."""
