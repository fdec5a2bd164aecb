"""`python -m benchmarks.compiling`, see `updates`."""

import tyro

from benchmarks.compiling import updates

if __name__ == "__main__":
    # Not in the module itself: processes that are spawned find a function by the name of its module.
    updates.main(tyro.cli(updates.Config, prog="python -m benchmarks.compiling", description=updates.__doc__))
