"""Recognisers in the form of other libraries."""
