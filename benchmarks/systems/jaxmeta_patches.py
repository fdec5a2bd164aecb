"""jaxmeta with convolutions as patches times matrices where a GPU has programs of their own for them."""

from benchmarks.systems import jaxmeta_system
from jaxmeta.models.accelerated.convolution_programs import convolution_form

__all__ = ["build", "supports"]


def supports(workload, order):
    return ""


def build(workload, order):
    with convolution_form("patches"):
        return jaxmeta_system.build(workload, order)
