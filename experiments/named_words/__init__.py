"""Words of a user that a Whisper is told by name, or taught by recordings: recall of them, and harm elsewhere."""
