"""What compiling an update takes."""
