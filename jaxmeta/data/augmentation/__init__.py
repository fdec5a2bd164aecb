"""Pure functions with keys that change speech: waveforms, log-mels, noise and rooms."""
