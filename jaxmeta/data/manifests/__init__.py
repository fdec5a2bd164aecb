"""What the rows of a manifest name: files, and pieces of long ones."""
