"""`python -m benchmarks.training`, see `inside`."""

import tyro

from benchmarks.training import inside

if __name__ == "__main__":
    inside.main(tyro.cli(inside.Config, prog="python -m benchmarks.training", description=inside.__doc__))
