"""Ways to compress a trained network: by rounding and by cutting, and by training it again for either."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import optax
from jax import numpy as jnp

from experiments.compress.recipes import CUT, Training
from jaxmeta import Model
from jaxmeta.compress.channels import ChannelGroup, channel_masks, shrink
from jaxmeta.compress.integer import as_trained, aware, calibrated, integer
from jaxmeta.compress.prune import hold, magnitude, masked
from jaxmeta.compress.quantize import dequantise_params, quantise_params
from jaxmeta.types import PyTree

Compress = Callable[[PyTree], PyTree]
"""Float weights -> weights as they are stored."""


class System(Protocol):
    """A network that is trained in two stages, and what it is good for."""

    name: str
    fingerprints: dict[str, str]

    @property
    def inputs(self) -> Any: ...

    def build(self, **network: Any) -> Model: ...

    def groups(self, params: PyTree) -> list[ChannelGroup]: ...

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        network: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree: ...  # fmt: skip

    def recordings(self, count: int) -> Iterator[Any]: ...

    def measure(self, variant: "Variant", dense: "Variant") -> list[dict]: ...

    def adaptation(self, variant: "Variant") -> Callable[[], Any]: ...


class Variant(NamedTuple):
    """A network, compressed."""

    name: str
    kind: str
    """Of which curve it is a point: "rounded", "cut", "rewound" or "channels"."""
    model: Model
    stored: PyTree
    """Weights as they are kept."""
    compress: Compress | None = None
    """What made them of the dense network's; None: something else did."""
    integers: bool = False
    """Whether the model computes with weights as they are kept; else with the floats that they stand for."""

    @property
    def params(self) -> PyTree:
        """Weights that the model takes."""
        return self.stored if self.integers else restored(self.stored)


def restored(stored: PyTree) -> PyTree:
    """Weights as the float32 that is computed with."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), dequantise_params(stored))


def rounded_or_cut() -> dict[str, tuple[str, Compress]]:
    """What needs no training: kind and function, by name."""
    rounded: dict[str, Compress] = {
        "bfloat16": lambda params: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params),
        "int8": quantise_params,
        "int8, a scale a leaf": partial(quantise_params, per_channel=False),
        "int4": partial(quantise_params, bits=4),
        "int4, a scale a leaf": partial(quantise_params, bits=4, per_channel=False),
    }
    cut: dict[str, Compress] = {f"{share:.0%} of weights cut": partial(_cut, share=share) for share in CUT}
    return {name: ("rounded", one) for name, one in rounded.items()} | {name: ("cut", one) for name, one in cut.items()}


def variants(system: System, again: Training) -> Iterator[Variant]:
    """The dense network first, then what becomes of it."""
    early = system.train("early")
    dense, model = system.train("dense", early), system.build()
    yield Variant("float32", "rounded", model, dense, lambda params: params)
    for name, (kind, compress) in rounded_or_cut().items():
        yield Variant(name, kind, model, compress(dense), compress)
    yield from _in_integers(system, dense, again.calibration)
    for share in again.sparse:
        masks = magnitude(dense, share)
        params = system.train(
            f"sparse_{share}", masked(early, masks), hold(masks), config={"without": share}
        )  # fmt: skip
        name = f"{share:.0%} of weights cut, rewound"
        yield Variant(name, "rewound", model, params)
        yield Variant(f"{name}, int8", "rewound", model, quantise_params(params))
    for share in again.channels:
        groups = system.groups(dense)
        masks = channel_masks(dense, groups, share)
        start, widths = shrink(early, masks, groups)
        network = {"widths": widths}
        params = system.train(f"channels_{share}", start, network=network, config={"widths": dict(widths)})
        small, name = system.build(**network), f"{share:.0%} of channels cut, rewound"
        yield Variant(name, "channels", small, params)
        yield Variant(f"{name}, int8", "channels", small, quantise_params(params))
    for bits in again.bits:
        params = system.train(
            f"aware_{bits}", early, network={"wrap": aware(bits, activations=False)}, config={"bits": bits}
        )  # fmt: skip
        yield Variant(f"int{bits}, trained for it", "rounded", model, as_trained(params, bits))


def _in_integers(system: System, dense: PyTree, recordings: int) -> Iterator[Variant]:
    """The dense network in integer arithmetic, with ranges of activations from each row and, perhaps, recordings."""
    model, stored = integer(system.build, dense, {}, system.inputs)
    yield Variant("int8, multiplied so", "rounded", model, stored, integers=True)
    if recordings:
        watched = system.build(wrap=aware(calibrate=True))
        state = calibrated(watched, dense, system.recordings(recordings))
        model, stored = integer(system.build, dense, state, system.inputs)
        yield Variant("int8, multiplied so, calibrated", "rounded", model, stored, integers=True)


def _cut(params: PyTree, share: float) -> PyTree:
    return masked(params, magnitude(params, share))
