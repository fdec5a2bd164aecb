"""Speech from espeak-ng: words, phrases and invented words by artificial speakers, and the built-in corpus."""
