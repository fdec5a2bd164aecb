"""From an index to tasks: episodes of words, transcribed utterances, and splits of support and query."""
