"""Whether the order of classes matters to MAML, on words."""
