"""torch.compile over the gradient of `torch_func`: one graph by inductor, inner loop unrolled."""

import time

import torch

from benchmarks.systems import torch_func
from benchmarks.systems.torch_networks import step_of, supports

__all__ = ["build", "supports"]


def build(workload, order):
    gradient = torch.compile(torch_func.gradient_of(workload, order), fullgraph=True, dynamic=False)
    began = time.perf_counter()
    gradient()
    return step_of(gradient)._replace(compile_seconds=time.perf_counter() - began)
