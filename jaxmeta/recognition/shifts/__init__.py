"""Shifts that a recogniser on a frozen encoder adapts to: what is learnt before, and what is tested."""
