"""Lists of recordings in the formats of other tools: a file for each, whose `read` gives rows and rejections."""
