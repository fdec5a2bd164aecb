"""PyTorch as most code on MAML writes it: a loop over tasks, autograd.grad with create_graph, gradients added up."""

import torch

from benchmarks.systems.torch_networks import loss_of, one_task, step_of, supports, tasks_of, weights_of

__all__ = ["build", "supports"]


def build(workload, order):
    loss, parts = loss_of(workload), tasks_of(workload)
    weights = {name: weight.requires_grad_() for name, weight in weights_of(workload).items()}
    names = list(weights)

    def task_gradient(support, query):
        fast = weights
        for _ in range(workload.steps):
            gradients = torch.autograd.grad(loss(fast, support), list(fast.values()), create_graph=order == 2)
            fast = {name: fast[name] - workload.rate * g for name, g in zip(names, gradients, strict=True)}
            if order == 1:
                # The gradient at the adapted weights is the first-order meta-gradient: no graph back to the start.
                fast = {name: value.detach().requires_grad_() for name, value in fast.items()}
        start = weights if order == 2 else fast
        return torch.autograd.grad(loss(fast, query), list(start.values()))

    def gradient():
        total = None
        for index in range(workload.tasks):
            gradients = task_gradient(*one_task(parts, index))
            total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
        return {name: value / workload.tasks for name, value in zip(names, total, strict=True)}

    return step_of(gradient)
