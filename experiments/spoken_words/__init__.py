"""Spoken words of new classes and languages, from one or five examples each."""
