"""jaxmeta with convolutions as programs of a GPU, where there are such, and not as patches times matrices."""

from benchmarks.systems import jaxmeta_system
from jaxmeta.models.accelerated.convolution_programs import convolution_form

__all__ = ["build", "supports"]


def supports(workload, order):
    return ""


def build(workload, order):
    with convolution_form("programs"):
        return jaxmeta_system.build(workload, order)
