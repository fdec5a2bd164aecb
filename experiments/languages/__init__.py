"""Adaptation of a recogniser to new languages, and to one after another."""
