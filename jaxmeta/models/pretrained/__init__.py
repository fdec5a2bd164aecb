"""Public networks, read from files on the disk; each is a Model, and nothing here reaches for a network."""
