"""What an update spends its time on."""
