"""Pages that show what a command has left in a folder."""
