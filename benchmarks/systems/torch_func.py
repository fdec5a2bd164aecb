"""torch.func, as PyTorch's own tutorial on MAML: vmap over tasks, grad inside, one backward pass for all."""

import torch

from benchmarks.systems import torch_networks
from benchmarks.systems.torch_networks import loss_of, step_of, tasks_of, weights_of

__all__ = ["build", "gradient_of", "supports"]


def supports(workload, order):
    return torch_networks.supports(workload, order)


def build(workload, order):
    return step_of(gradient_of(workload, order))


def gradient_of(workload, order):
    """A function without arguments that returns name -> gradient."""
    # Under vmap the second derivative of PyTorch's own batch norm is wrong without an error (pytorch/functorch 534).
    loss = loss_of(workload, _batch_norm if workload.name == "conv4" and order == 2 else None)
    parts, weights = tasks_of(workload), weights_of(workload)

    def adapt(weights, support):
        for _ in range(workload.steps):
            gradients = torch.func.grad(loss)(weights, support)
            weights = {name: weights[name] - workload.rate * gradients[name] for name in weights}
        return weights

    def mean_loss(weights):
        def task_loss(support, query):
            return loss(adapt(weights, support), query)

        return torch.func.vmap(task_loss)(parts["support"], parts["query"]).mean()

    def first_order():
        def task_gradient(support, query):
            # The gradient at the adapted weights is the first-order meta-gradient.
            return torch.func.grad(loss)(adapt(weights, support), query)

        gradients = torch.func.vmap(task_gradient)(parts["support"], parts["query"])
        return {name: value.mean(dim=0) for name, value in gradients.items()}

    return first_order if order == 1 else lambda: torch.func.grad(mean_loss)(weights)


def _batch_norm(values, scale, bias):
    variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0, keepdim=True)
    return (values - mean) * (torch.rsqrt(variance + 1e-5) * scale[:, None, None]) + bias[:, None, None]
