"""Transcripts of recordings with times: what is said from when to when, and the formats that hold it."""
