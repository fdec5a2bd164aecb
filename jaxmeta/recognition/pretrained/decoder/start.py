"""What a decoder's adapters do from a start that was meta-learned: which of them adapt, and at which rates."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxmeta import tree
from jaxmeta.learners.learned_rates import RATE, Rates, new_rates
from jaxmeta.models.pretrained.whisper import after_prompt
from jaxmeta.recognition.pretrained.presets import RecogniserLearner
from jaxmeta.sequence_losses import sequence_cross_entropy
from jaxmeta.types import Loss, PyTree

RATES: dict[RecogniserLearner, Rates] = {"meta_sgd": "weight", "layer_rates": "layer"}
"""Learners of rates -> what has a rate of its own."""


@dataclass(frozen=True)
class LearnedStart:
    """How adapters adapt that were meta-learned as a start. Raises ValueError for numbers out of range."""

    learner: RecogniserLearner
    steps: int
    """Of gradient descent."""
    rate: float
    """Of these; where rates are learned, what they began with."""

    def __post_init__(self) -> None:
        if not 0 <= self.steps <= 100_000:
            raise ValueError(f"steps={self.steps} must lie between 0 and 100,000.")
        if not 0 <= self.rate <= 100:
            raise ValueError(f"rate={self.rate} must lie between 0 and 100.")

    @property
    def rates(self) -> Rates:
        """Whether rates lie among the adapters: one for each matrix of an adapter, or for each of its weights."""
        return RATES.get(self.learner, "none")


def is_adapted(path: str) -> bool:
    """Whether the matrix at a path of Whisper's params gets an adapter: queries and outputs of the decoder's attention.

    What is below them, the whole encoder, need run once only for each recording.

    >>> is_adapted("decoder/layers_0/self_attn/q_proj/kernel"), is_adapted("encoder/layers_0/self_attn/q_proj/kernel")
    (True, False)
    """
    return path.startswith("decoder/") and path.endswith(("q_proj/kernel", "out_proj/kernel"))


def adapting(learner: RecogniserLearner | None, layers: int) -> Callable[[str], bool]:
    """Whether the adapter of the matrix at a path adapts to a voice.

    Args:
      learner: "anil" adapts all matrices of the decoder's last layer, all others queries and outputs of its attention.
      layers: of the decoder.

    >>> [adapting(name, 4)("decoder/layers_3/fc1/kernel") for name in ("maml", "anil")]
    [False, True]
    """
    if learner != "anil":
        return is_adapted
    return lambda path: path.startswith(f"decoder/layers_{layers - 1}/")


def with_start_rates(adapters: PyTree, rates: Rates, rate: float, adapts: Callable[[str], bool]) -> PyTree:
    """Adapters, and where rates are learned one of this value for what adapts, and None in the place of others."""
    if rates == "none":
        return adapters
    return adapters | {RATE: new_rates(tree.partition(adapters, of_leaf(adapts))[0], rates, rate)}


def of_leaf(adapts: Callable[[str], bool]) -> Callable[[str], bool]:
    """The predicate of an adapter's leaves, "down" and "up", for one of the paths of matrices."""
    return lambda path: adapts(path.rsplit("/", 1)[0])


def transcript_loss(prompt: int) -> Loss:
    """The cross-entropy of each transcript's tokens, [N] in nats, after a prompt of so many."""
    return after_prompt(sequence_cross_entropy, prompt)
