"""Commands that look at a machine, or at what another command has written."""
