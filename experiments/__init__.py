"""One folder a question; README.md is the table of results."""
