"""`python -m benchmarks.layers`, see `rates`."""

import tyro

from benchmarks.layers import rates

if __name__ == "__main__":
    rates.main(tyro.cli(rates.Config, prog="python -m benchmarks.layers", description=rates.__doc__))
