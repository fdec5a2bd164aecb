"""Learners compared fairly: the same search on validation data, the same budget, several seeds, and the test once."""
