"""The floor of the map of languages: a public Whisper as it is."""
