"""Other ways to run a Whisper: greedily, token by token, and with its layers stacked."""
