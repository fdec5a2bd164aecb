"""The gate: recordings change the model of a user only if their speaker is accepted as that user."""

import math
from typing import Literal, NamedTuple

Decision = Literal["accept", "unsure", "reject"]


class Gate(NamedTuple):
    """When a claim is believed."""

    prior: float = 0.5
    """Probability, before anything is heard, that it is the user who speaks."""
    sure: float = 0.9
    """Probability afterwards from which the user is accepted; below 1 - sure the speaker is rejected."""

    def posterior(self, ratio: float) -> float:
        """The probability that it is the user, given a log-likelihood ratio in nats."""
        return 1 / (1 + math.exp(min(-ratio - math.log(self.prior / (1 - self.prior)), 700.0)))

    def decide(self, ratio: float) -> Decision:
        """What a log-likelihood ratio in nats leads to."""
        chance = self.posterior(ratio)
        return "accept" if chance >= self.sure else "reject" if chance <= 1 - self.sure else "unsure"


def make_gate(prior: float = 0.5, sure: float = 0.9) -> Gate:
    """A gate whose numbers are checked.

    Raises:
      ValueError: prior outside (0, 1), or sure outside [0.5, 1).

    >>> gate = make_gate(prior=0.5, sure=0.9)
    >>> gate.decide(3.0), gate.decide(0.0), gate.decide(-3.0)
    ('accept', 'unsure', 'reject')
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior must be a probability between 0 and 1, got {prior}.")
    if not 0.5 <= sure < 1:
        raise ValueError(f"sure must be a probability from 0.5 up to below 1, got {sure}.")
    return Gate(prior, sure)
