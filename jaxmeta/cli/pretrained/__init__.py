"""What subcommands do with networks that were trained elsewhere."""
