"""`python -m benchmarks.operations`, see `profile`."""

import tyro

from benchmarks.operations import profile

if __name__ == "__main__":
    profile.main(tyro.cli(profile.Config, prog="python -m benchmarks.operations", description=profile.__doc__))
