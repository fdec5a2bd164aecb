"""Where the seconds go from a command to its first update."""
