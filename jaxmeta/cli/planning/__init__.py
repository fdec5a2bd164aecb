"""What a command would do: found out from lists and headers alone, and printed by --dry-run."""
