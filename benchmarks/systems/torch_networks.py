"""The networks in PyTorch as functions of a dict of weights, and what all PyTorch systems share."""

from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.systems import Step, torch_library
from benchmarks.systems.torch_library import DEVICE
from benchmarks.workloads import SEGMENTS, WORDS_STRIDES, pooling

NO_SECOND_DERIVATIVE = "PyTorch's CTC has no second derivative"


def supports(workload, order):
    return NO_SECOND_DERIVATIVE if workload.name == "ctc" and order == 2 else ""


def weights_of(workload):
    """Name -> tensor in PyTorch's layouts."""
    return {name: torch.tensor(_reordered(weight), device=DEVICE) for name, weight in workload.weights.items()}


def tasks_of(workload):
    """{"support": ..., "query": ...}, each {"x": ..., "y": ...} with a leading axis of tasks."""
    parts = {"support": {}, "query": {}}
    for key, value in workload.episodes.items():
        part, kind = key.split("_")
        # Labels are int64 in PyTorch.
        parts[part][kind] = torch.tensor(value.astype(np.int64) if value.dtype == np.int32 else value, device=DEVICE)
    return parts


def one_task(parts, index):
    """(support, query) of one task."""
    return tuple({kind: value[index] for kind, value in parts[part].items()} for part in ("support", "query"))


def step_of(gradient):
    """Step of a function without arguments that returns name -> gradient, not necessarily finished on a GPU."""

    def run():
        gradients = gradient()
        torch_library.wait()
        return gradients

    def read(gradients):
        return {name: _reordered_back(value.detach().cpu().numpy()) for name, value in gradients.items()}

    return Step(run, read, cores=torch_library.cores())


def loss_of(workload, normalise=None):
    """(weights, {"x": ..., "y": ...} of one task) -> mean loss; with `normalise` in place of PyTorch's own layers."""
    network, criterion = network_of(workload, normalise), criterion_of(workload)
    return lambda weights, batch: criterion(network(weights, batch["x"]), batch)


def network_of(workload, normalise=None):
    """(weights, inputs) -> outputs; those of precision "bf16" compute in bfloat16 between float32 ends."""
    network = _network_of(workload, normalise)
    if workload.precision != "bf16":
        return network

    def half(weights, inputs):
        narrow = {name: weight.bfloat16() for name, weight in weights.items()}
        return network(narrow, inputs.bfloat16()).float()

    return half


def _network_of(workload, normalise):
    return {
        "sinusoid": mlp,
        "conv4": partial(images, normalise=normalise or batch_norm),
        "words": partial(words, normalise=normalise or layer_norm),
        "ctc": recogniser,
    }[workload.name]


def criterion_of(workload):
    """(outputs, {"y": ...}) -> mean loss."""
    if workload.name == "sinusoid":
        return lambda outputs, batch: functional.mse_loss(outputs, batch["y"])
    if workload.name == "ctc":
        return _ctc
    return lambda outputs, batch: functional.cross_entropy(outputs, batch["y"])


class Network(nn.Module):
    """A network as a module, for the libraries that want one."""

    def __init__(self, workload):
        super().__init__()
        self.network = network_of(workload)
        self.names = list(workload.weights)
        for name, weight in weights_of(workload).items():
            self.register_parameter(name, nn.Parameter(weight))

    def forward(self, inputs):
        return self.network({name: getattr(self, name) for name in self.names}, inputs)


def mlp(weights, inputs):
    hidden = inputs
    for layer in (1, 2):
        hidden = functional.relu(_dense(weights, f"layer{layer}", hidden))
    return _dense(weights, "layer3", hidden)


def batch_norm(values, scale, bias):
    """By the statistics of each channel of [N, C, H, W]."""
    return functional.batch_norm(values, None, None, scale, bias, training=True, eps=1e-5)


def layer_norm(values, scale, bias):
    """By the statistics of each example of [N, C, H, W]."""
    return functional.group_norm(values, 1, scale, bias, eps=1e-5)


def images(weights, inputs, normalise):
    hidden = inputs.movedim(-1, 1)
    for layer in range(1, 5):
        hidden = functional.conv2d(hidden, weights[f"conv{layer}/kernel"], padding=1)
        scale, bias = weights[f"norm{layer}/scale"], weights[f"norm{layer}/bias"]
        hidden = functional.max_pool2d(functional.relu(normalise(hidden, scale, bias)), 2)
    return _dense(weights, "head", hidden.flatten(1))


def words(weights, inputs, normalise):
    hidden = _standardise(_pool(inputs, SEGMENTS))[:, None]
    for layer, strides in enumerate(WORDS_STRIDES):
        hidden = functional.conv2d(hidden, weights[f"body/Convolution_{layer}/kernel"], stride=strides, padding=1)
        norm = f"body/LayerNorm_{layer}"
        hidden = functional.relu(normalise(hidden, weights[f"{norm}/scale"], weights[f"{norm}/bias"]))
    hidden = hidden.mean(dim=3).transpose(1, 2)
    hidden = _pool(hidden, 4).flatten(1)
    return _dense(weights, "head", hidden * (20 / hidden.shape[1]) ** 0.5)


def recogniser(weights, inputs):
    hidden = functional.conv2d(inputs[:, None], weights["conv/kernel"], weights["conv/bias"], stride=2, padding=1)
    hidden = _dense(weights, "linear", functional.relu(hidden).permute(0, 2, 3, 1).flatten(2))
    order = ("input_kernel", "hidden_kernel", "input_bias", "hidden_bias")
    flat = [weights[f"{direction}/{kind}"] for direction in ("forward", "backward") for kind in order]
    start = hidden.new_zeros(2, hidden.shape[0], flat[1].shape[1])
    # What nn.GRU calls: has_biases, num_layers, dropout, train, bidirectional, batch_first.
    hidden, _ = torch._VF.gru(hidden, start, flat, True, 1, 0.0, True, True, True)
    return _dense(weights, "head", hidden)


def _dense(weights, name, inputs):
    return functional.linear(inputs, weights[f"{name}/kernel"], weights[f"{name}/bias"])


def _standardise(clips):
    clips = torch.maximum(clips, clips.amax(dim=(1, 2), keepdim=True) - 6.5 * float(np.log(10.0)))
    centred = clips - (clips.mean(dim=1, keepdim=True) + clips.mean(dim=(1, 2), keepdim=True)) / 2
    return centred / torch.sqrt(centred.var(dim=(1, 2), correction=0, keepdim=True) + 1e-6)


def _ctc(outputs, batch):
    frames = torch.full((outputs.shape[0],), outputs.shape[1], dtype=torch.int64)
    scores = functional.log_softmax(outputs, dim=-1).transpose(0, 1)
    return functional.ctc_loss(scores, batch["y"], frames, batch["lengths"], reduction="none").mean()


def _pool(inputs, segments):
    return torch.from_numpy(pooling(inputs.shape[1], segments)).to(inputs) @ inputs


def _reordered(weight):
    """[kh, kw, C, D] -> [D, C, kh, kw], [in, out] -> [out, in]."""
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T)


def _reordered_back(weight):
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
