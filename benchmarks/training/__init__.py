"""What a training run spends outside of its updates."""
