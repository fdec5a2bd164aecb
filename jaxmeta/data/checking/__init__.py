"""What is wrong with a folder of recordings, found before anyone trains on it."""
