"""What things cost; README.md is the table."""
