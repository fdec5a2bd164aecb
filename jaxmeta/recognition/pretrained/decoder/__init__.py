"""Training of a public Whisper's own decoder on the speech of many speakers."""
