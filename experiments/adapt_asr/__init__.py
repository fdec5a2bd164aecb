"""A recogniser of sentences that adapts to new speakers."""
