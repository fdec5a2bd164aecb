"""Adaptation of a recogniser in noise that it never heard."""
