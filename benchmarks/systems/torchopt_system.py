"""TorchOpt (Ren et al. 2022, arXiv 2211.06934): its differentiable MetaSGD on a module, put back after each task."""

import torch
import torchopt

from benchmarks.systems.torch_networks import Network, criterion_of, one_task, step_of, tasks_of
from benchmarks.systems.torch_networks import supports as torch_supports

__all__ = ["build", "supports"]


def supports(workload, order):
    return torch_supports(workload, order) or ("MetaSGD has exact gradients only" if order == 1 else "")


def build(workload, order):
    network, criterion, parts = Network(workload), criterion_of(workload), tasks_of(workload)
    weights = [getattr(network, name) for name in network.names]
    descent = torchopt.MetaSGD(network, lr=workload.rate)
    start, slots = torchopt.extract_state_dict(network, by="reference"), torchopt.extract_state_dict(descent)

    def task_gradient(support, query):
        for _ in range(workload.steps):
            descent.step(criterion(network(support["x"]), support))
        gradients = torch.autograd.grad(criterion(network(query["x"]), query) / workload.tasks, weights)
        torchopt.recover_state_dict(network, start)
        torchopt.recover_state_dict(descent, slots)
        return gradients

    def gradient():
        total = None
        for index in range(workload.tasks):
            gradients = task_gradient(*one_task(parts, index))
            total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
        return dict(zip(network.names, total, strict=True))

    return step_of(gradient)
