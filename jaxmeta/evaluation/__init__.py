"""Protocols of evaluation: what is measured, on what, and how sure it is."""
