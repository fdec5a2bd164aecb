"""Wake words from a few recordings: a small head on a public word embedding, scored every 80 ms."""
