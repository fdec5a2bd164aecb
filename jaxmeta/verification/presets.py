"""How assistants are trained: what each preset means. Imports nothing heavy."""

from typing import NamedTuple


class AssistantPreset(NamedTuple):
    """Numbers of a training."""

    updates: int
    rate: float
    """Peak learning rate."""
    width: int
    """Of the network's trunk."""
    invented: int
    """Words to invent for synthesised speech."""
    ways: int
    """Words of a training episode."""
    shots: tuple[tuple[int, int], ...]
    """(shots, queries) of the episodes of words, taken in turn."""
    clips: int
    """Of a batch in which the speakers of training are told apart."""

    def with_updates(self, updates: int | None) -> "AssistantPreset":
        """The preset with these updates; None: as it is."""
        return self if updates is None else self._replace(updates=updates)


ASSISTANTS = {
    # For synthesised words alone: about two minutes of processor time, from nothing to an assistant.
    "brief": AssistantPreset(160, 2e-3, 48, 0, 20, ((5, 3),), 96),
    "quick": AssistantPreset(400, 2e-3, 48, 300, 20, ((5, 3),), 96),
    "full": AssistantPreset(4_000, 2e-3, 112, 3_000, 20, ((1, 3), (5, 3)), 160),
}
