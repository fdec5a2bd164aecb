"""The command line: `jaxmeta SUBCOMMAND`, one file a subcommand."""
