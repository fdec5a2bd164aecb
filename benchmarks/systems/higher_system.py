"""higher (Grefenstette et al. 2019, arXiv 1910.01727): a patched copy of a module and a differentiable optimizer."""

import higher
import torch

from benchmarks.systems.torch_networks import Network, criterion_of, one_task, step_of, supports, tasks_of

__all__ = ["build", "supports"]


def build(workload, order):
    network, criterion, parts = Network(workload), criterion_of(workload), tasks_of(workload)
    optimizer = torch.optim.SGD(network.parameters(), workload.rate)

    def task_backward(support, query):
        inner_loop = higher.innerloop_ctx(network, optimizer, copy_initial_weights=False, track_higher_grads=order == 2)
        with inner_loop as (patched, descent):
            for _ in range(workload.steps):
                descent.step(criterion(patched(support["x"]), support))
            (criterion(patched(query["x"]), query) / workload.tasks).backward()
            if order == 1:
                # Without higher gradients the adapted weights are new leaves, which hold the gradient.
                return [weight.grad for weight in patched.parameters()]
            return None

    def gradient():
        network.zero_grad()
        found = [task_backward(*one_task(parts, index)) for index in range(workload.tasks)]
        names = network.names
        if order == 1:
            return {name: sum(task[i] for task in found) for i, name in enumerate(names)}
        return {name: getattr(network, name).grad for name in names}

    return step_of(gradient)
