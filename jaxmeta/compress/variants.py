"""Ways to compress a trained network: by rounding and by cutting, and by training it again for either."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import jax
import optax
from jax import numpy as jnp

from jaxmeta import Model
from jaxmeta.compress.channels import ChannelGroup, channel_masks, shrink
from jaxmeta.compress.integer import as_trained, aware, calibrated, integer
from jaxmeta.compress.prune import hold, magnitude, masked
from jaxmeta.compress.quantize import dequantise_params, quantise_params, stored_bytes
from jaxmeta.types import PyTree

CUT = (0.5, 0.8, 0.9)
"""Sparsity of networks from which weights are cut without training again."""
Compress = Callable[[PyTree], PyTree]
"""Float weights -> weights as they are stored."""


class Variant(NamedTuple):
    """A network, compressed."""

    name: str
    kind: Literal["rounded", "cut", "rewound", "channels"]
    model: Model
    stored: PyTree
    """Weights as they are stored."""
    compress: Compress | None = None
    """What made them of the dense network's; None: they were trained."""
    integers: bool = False
    """Whether the model computes with weights as they are stored; else with the floats that they stand for."""

    @property
    def params(self) -> PyTree:
        """Weights that the model takes."""
        return self.stored if self.integers else restored(self.stored)


class TwoStageNetwork(Protocol):
    """A network that is trained in two stages: early weights, to which pruned networks are rewound, and the rest."""

    @property
    def inputs(self) -> Any:
        """One clip."""

    def build(self, **options: Any) -> Model:
        """The network; options are `widths` and `wrap` of this package's networks."""

    def groups(self, params: PyTree) -> list[ChannelGroup]:
        """Its channels."""

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        options: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree:  # fmt: skip
        """Weights after the first stage, where `start` is None, or after the second one, from these weights.

        Args:
          name: of the training, and of its folder.
          start: weights.
          update_transform: as in `training.fit.fit`.
          options: of `build`.
          config: what decides the result, besides.
        """

    def recordings(self, count: int) -> Iterator[Any]:
        """Training recordings in batches, for calibration."""

    def measure(self, variant: Variant, dense: Variant) -> list[dict]:
        """Rows of results of a variant beside the dense network."""


def restored(stored: PyTree) -> PyTree:
    """Weights as the float32 that is computed with."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), dequantise_params(stored))


def rounded_or_cut() -> dict[str, tuple[Literal["rounded", "cut"], Compress]]:
    """What needs no training: kind and function, by name."""
    rounded: dict[str, Compress] = {
        "bfloat16": lambda params: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params),
        "int8": quantise_params,
        "int8, a scale a leaf": partial(quantise_params, per_channel=False),
        "int4": partial(quantise_params, bits=4),
        "int4, a scale a leaf": partial(quantise_params, bits=4, per_channel=False),
    }
    cut: dict[str, Compress] = {f"{share:.0%} of weights cut": partial(_cut, share=share) for share in CUT}
    return {name: ("rounded", function) for name, function in rounded.items()} | {
        name: ("cut", function) for name, function in cut.items()
    }


def variants(
    network: TwoStageNetwork,
    *,
    sparse: Sequence[float] = (),
    channels: Sequence[float] = (),
    bits: Sequence[Literal[8, 4]] = (),
    calibration: int = 0,
) -> Iterator[Variant]:
    """The dense network first, then what is made of it, and what is trained again from the early weights.

    Args:
      network: what is trained and compressed.
      sparse: shares of weights without which it is trained again.
      channels: shares of channels without which it is trained again.
      bits: of weights that it is trained to be rounded to.
      calibration: recordings that ranges of activations are taken from; 0: ranges are those of each row.
    Raises:
      ImportError: the extra "quant" is missing.
    """
    early = network.train("early")
    dense, model = network.train("dense", early), network.build()
    yield Variant("float32", "rounded", model, dense, lambda params: params)
    for name, (kind, compress) in rounded_or_cut().items():
        yield Variant(name, kind, model, compress(dense), compress)
    yield from _in_integers(network, dense, calibration)
    for share in sparse:
        masks = magnitude(dense, share)
        params = network.train(f"sparse_{share}", masked(early, masks), hold(masks), config={"without": share})
        yield from _with_int8(f"{share:.0%} of weights cut, rewound", "rewound", model, params)
    for share in channels:
        groups = network.groups(dense)
        start, widths = shrink(early, channel_masks(dense, groups, share), groups)
        options: dict[str, Any] = {"widths": widths}
        params = network.train(f"channels_{share}", start, options=options, config={"widths": dict(widths)})
        yield from _with_int8(f"{share:.0%} of channels cut, rewound", "channels", network.build(**options), params)
    for number in bits:
        options = {"wrap": aware(number, activations=False)}
        params = network.train(f"aware_{number}", early, options=options, config={"bits": number})
        yield Variant(f"int{number}, trained for it", "rounded", model, as_trained(params, number))


def compare(name: str, network: TwoStageNetwork, made: Iterable[Variant]) -> tuple[list[dict], dict[str, Variant]]:
    """Rows of every variant as `network.measure` gives them, with sizes in bytes; and the variants by name.

    Args:
      name: of the network.
      network: that the variants are of.
      made: by `variants`, the dense network first.
    """
    rows: list[dict] = []
    by_name: dict[str, Variant] = {}
    for variant in made:
        by_name[variant.name] = variant
        dense = by_name["float32"]
        sizes = {"bytes": stored_bytes(variant.stored), "float_bytes": stored_bytes(dense.stored)}
        named = {"network": name, "compressed": variant.name, "kind": variant.kind}
        rows += [named | sizes | row for row in network.measure(variant, dense)]
    return rows, by_name


def _with_int8(name: str, kind: Literal["rewound", "channels"], model: Model, params: PyTree) -> Iterator[Variant]:
    yield Variant(name, kind, model, params)
    yield Variant(f"{name}, int8", kind, model, quantise_params(params))


def _in_integers(network: TwoStageNetwork, dense: PyTree, calibration: int) -> Iterator[Variant]:
    """The dense network in integer arithmetic, with ranges of activations from each row and, perhaps, recordings."""
    model, stored = integer(network.build, dense, {}, network.inputs)
    yield Variant("computed in int8", "rounded", model, stored, integers=True)
    if calibration:
        watched = network.build(wrap=aware(calibrate=True))
        state = calibrated(watched, dense, network.recordings(calibration))
        model, stored = integer(network.build, dense, state, network.inputs)
        yield Variant("computed in int8, calibrated", "rounded", model, stored, integers=True)


def _cut(params: PyTree, share: float) -> PyTree:
    return masked(params, magnitude(params, share))
