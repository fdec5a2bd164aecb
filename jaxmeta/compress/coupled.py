"""Which leaves share channels, for the networks of this package: the groups of `channels.py`."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxmeta import tree
from jaxmeta.compress.channels import ChannelGroup, Part
from jaxmeta.types import Array, PyTree

_RESIDUAL = ((0, 1), (1, 2), (2, 3), (4, 5), (6, 7))
"""Layers whose channels one other layer alone reads; those of the others are added to each other."""
_CONV4 = ((0, 1), (1, 2), (2, 3))


def word_groups(params: PyTree) -> list[ChannelGroup]:
    """Channels of `words.residual` and `words.conv4` between layers; those of the embedding stay.

    Raises:
      ValueError: weights of another network.
    """
    leaves = tree.named(params)
    if "body/Convolution_0/kernel" not in leaves:
        raise ValueError(f"params are no word network's, for they are {', '.join(leaves)}.")
    groups = []
    for maker, reader in _RESIDUAL if "body/Convolution_7/kernel" in leaves else _CONV4:
        made, norm = f"body/Convolution_{maker}/kernel", f"body/LayerNorm_{maker}"
        groups.append(
            _group(leaves, f"Convolution_{maker}", leaves[made].shape[-1], [
                (made, 3), (f"{norm}/scale", 0), (f"{norm}/bias", 0), (f"body/Convolution_{reader}/kernel", 2),
            ])
        )  # fmt: skip
    return groups


def recogniser_groups(params: PyTree) -> list[ChannelGroup]:
    """Channels of the front end of `acoustic.recogniser`, and units of its encoder.

    Units are those of each direction of a recurrent layer, those inside the feed-forward layers of a Conformer, and
    those of the linear layers on frames but the first.
    Raises:
      ValueError: weights of another network.
    """
    leaves = tree.named(params)
    if "front/Convolution_0/kernel" not in leaves or "head/kernel" not in leaves:
        raise ValueError(f"params are no recogniser's, for they are {', '.join(leaves)}.")
    groups = []
    for number, reader in ((0, ("front/Convolution_1/kernel", 2)), (1, ("front/Dense_0/kernel", 0))):
        made = f"front/Convolution_{number}/kernel"
        groups.append(_group(leaves, made.removesuffix("/kernel"), leaves[made].shape[-1], [(made, 3), reader]))
    return groups + _recurrent(leaves) + _feed_forward(leaves) + _linear(leaves)


def _recurrent(leaves: Mapping[str, Array]) -> list[ChannelGroup]:
    groups, depth = [], _count(leaves, "encoder/layer_{}/ahead_kernel")
    for index in range(depth):
        layer, norm = f"encoder/layer_{index}", f"encoder/LayerNorm_{index + 1}"
        following = [f"encoder/layer_{index + 1}/{way}_inputs/kernel" for way in ("ahead", "back")]
        readers = following if index + 1 < depth else ["head/kernel"]
        units = leaves[f"{layer}/ahead_kernel"].shape[0]
        for half, way in enumerate(("ahead", "back")):
            # Gates lie side by side, each of all units; the output is one direction behind the other.
            group = _group(leaves, layer, units, [
                (f"{layer}/{way}_inputs/kernel", 1), (f"{layer}/{way}_inputs/bias", 0), (f"{layer}/{way}_kernel", 0),
                (f"{layer}/{way}_kernel", 1), (f"{layer}/{way}_bias", 0),
            ])  # fmt: skip
            own = np.arange(units)[:, None] + half * units
            outside = tuple(Part(path, 0, own) for path in (f"{norm}/scale", f"{norm}/bias", *readers))
            groups.append(group._replace(parts=group.parts + outside))
    return groups


def _feed_forward(leaves: Mapping[str, Array]) -> list[ChannelGroup]:
    names = [
        f"encoder/block_{index}/{part}"
        for index in range(_count(leaves, "encoder/block_{}/first/up/kernel"))
        for part in ("first", "second")
    ]
    return [
        _group(leaves, name, leaves[f"{name}/up/bias"].shape[0], [
            (f"{name}/up/kernel", 1), (f"{name}/up/bias", 0), (f"{name}/down/kernel", 0),
        ])
        for name in names
    ]  # fmt: skip


def _linear(leaves: Mapping[str, Array]) -> list[ChannelGroup]:
    groups, depth = [], _count(leaves, "encoder/Dense_{}/kernel")
    for index in range(depth):
        name, norm = f"encoder/Dense_{index}", f"encoder/LayerNorm_{index}"
        reader = f"encoder/Dense_{index + 1}/kernel" if index + 1 < depth else "head/kernel"
        groups.append(
            _group(leaves, name, leaves[f"{name}/bias"].shape[0], [
                (f"{name}/kernel", 1), (f"{name}/bias", 0), (f"{norm}/scale", 0), (f"{norm}/bias", 0), (reader, 0),
            ])
        )  # fmt: skip
    return groups


def _group(leaves: Mapping[str, Array], name: str, channels: int, parts: Sequence[tuple[str, int]]) -> ChannelGroup:
    """Along each axis the channels lie side by side, as often as they fit: for each band, or for each gate."""
    return ChannelGroup(
        name,
        tuple(
            Part(path, axis, np.arange(leaves[path].shape[axis]).reshape(-1, channels).T) for path, axis in parts
        ),
    )  # fmt: skip


def _count(leaves: Mapping[str, Array], path: str) -> int:
    """How many layers there are by this name."""
    return sum(path.format(number) in leaves for number in range(len(leaves)))
