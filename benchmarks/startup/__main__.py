"""`python -m benchmarks.startup`, see `commands`."""

import tyro

from benchmarks.startup import commands

if __name__ == "__main__":
    # Not in the module itself: a command that is measured imports nothing that it would not import by itself.
    commands.main(tyro.cli(commands.Config, prog="python -m benchmarks.startup", description=commands.__doc__))
