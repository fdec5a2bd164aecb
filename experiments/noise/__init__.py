"""Adaptation of a recogniser in noise that it was not trained in."""
