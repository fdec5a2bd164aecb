"""The recogniser of the compression experiment: a CTC network, which adapts to speakers by gradient steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax

from experiments.compress.recipes import UTTERANCES
from experiments.compress.variants import restored
from jaxmeta import MetaLearner, Model, Ragged, maml
from jaxmeta.compress.coupled import recogniser_groups
from jaxmeta.compress.user_deltas import differences, user_bytes
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.synthesis.sentences import accented_sentences
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import error_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol, Build, adapt_and_recognise, padded_lengths
from jaxmeta.evaluation.choosing import choose
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.folders import data_folders
from jaxmeta.models.acoustic import recogniser
from jaxmeta.recognition.adaptation import LOSS, fine_tuning
from jaxmeta.recognition.corpora import read_corpora, with_read_aloud
from jaxmeta.recognition.training import train_in_stages, train_on_all_speakers
from jaxmeta.types import PyTree

if TYPE_CHECKING:
    from experiments.compress.recipes import Speech as Recipe
    from experiments.compress.variants import Compress, Variant

RATES, STEPS, CHOSEN_STEPS = (0.003, 0.01, 0.03, 0.1, 0.3), (1, 2, 5, 10, 20), 5
SMALL = "norms"
"""What adapts on a device: scales and biases, float beside frozen matrices of any kind."""
BATCH = 16


class Speech:
    """A recogniser that is trained in two stages, and adapted to speakers that it never heard."""

    name = "recogniser"
    groups = staticmethod(recogniser_groups)

    def __init__(self, recipe: Recipe, seed: int, workdir: Path, trained: Path | None, recorded: bool):
        """Args:
        recipe: how it is trained and tested.
        seed: of everything random.
        workdir: for a folder of each training, and for what is recognised.
        trained: a working directory of `adapt_asr` that holds both stages; None: they are in `workdir`.
        recorded: whether the recordings under JAXMETA_DATA are used, or synthesised speech.
        """
        self.recipe, self.seed, self.workdir, self.trained = recipe, seed, workdir, trained or workdir
        folder = data_folders("en_nonnative_sentences")[0] if recorded else accented_sentences(seed)
        self.data = data = read_corpora([folder], seed=seed, drop=True)
        self.fingerprints = self.data.fingerprints
        val, test = (data.held_out.select(split=split) for split in ("val", "test"))
        self._builds: dict[Any, Build] = {}
        self._found: dict[str, tuple[float, int]] = {}
        self._weights: dict[str, list[PyTree]] = {}
        episodes = [
            adaptation_episodes(corpus, data.vocabulary, supports=(0, UTTERANCES), query=10, seed=seed)
            for corpus in (val, test)
        ]
        lengths = padded_lengths(episodes, recipe.lengths)
        self.val, self.test = (
            AdaptationProtocol(some, data.vocabulary, workdir / name, lengths)
            for some, name in zip(episodes, ("val", "test"), strict=True)
        )

    def build(self, **network: Any) -> Model:
        """The network; arguments are more ones of `recogniser`."""
        training = self.recipe.training
        return recogniser(self.data.vocabulary.size, training.encoder, training.size, **network)

    @cached_property
    def inputs(self) -> Ragged:
        """The first utterance of the first test speaker, as the network takes it."""
        query = self.test.episode(0, 0).query.inputs
        length = int(query.lengths[0])
        return Ragged(query.values[:1, :length], query.lengths[:1])

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        network: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree:  # fmt: skip
        """Weights after one stage: the first one from random weights, the second one from those given.

        Without updates of a wide stage, the second one is all there is, and None the weights of the first.

        Args:
          name: of the folder.
          start: weights; None: random ones.
          update_transform: as in `training.fit.fit`.
          network: of `build`.
          config: what decides the result, besides.
        """
        training, data = self.recipe.training, self.data
        model = self.build(dropout=training.dropout, **(network or {}))
        val = data.held_out.select(split="val")
        if name not in ("early", "dense"):
            return train_on_all_speakers(
                model, data.train, val, data.vocabulary, training, self.workdir / name, seed=self.seed,
                config={"data": data.fingerprints, "early": self.recipe.early} | dict(config or {}), params=start,
                update_transform=update_transform,
            )  # fmt: skip
        stages = {"supervised": (data.train, training.updates)} if name == "dense" else {}
        if self.recipe.early:
            aloud = with_read_aloud(data.train, data.vocabulary, self.seed)
            stages = {"read_aloud": (aloud, self.recipe.early), **stages}
        return train_in_stages(model, stages, val, data.vocabulary, training, self.trained, seed=self.seed)

    def recordings(self, count: int) -> Iterator[Ragged]:
        """Training utterances of about the median length, in batches: padding would count as silence."""
        corpus = self.data.train
        rows = np.argsort(np.abs(corpus.length - np.median(corpus.length)), kind="stable")[:count]
        for some in np.array_split(rows, -(-count // BATCH)):
            yield gather(corpus, some, int(round_up(corpus.length[rows].max())))

    def measure(self, variant: Variant, dense: Variant) -> list[dict]:
        """One row with character error rates in percent, with 95 % intervals over speakers.

        Before any adaptation; after `SMALL` weights of the compressed network adapted; and `reversed`, after all
        weights of the dense network adapted, which was compressed then. A network that computes in integers has nothing
        that could adapt, and is measured as it is.
        """
        if variant.integers:
            before = self._recognised(adapt_and_recognise(partial(plainly, variant.model)), repeat(variant.params))
            return [{"test": "new speakers", "user_bytes": 0} | _interval("before", before)]
        rate, steps = self._chosen(SMALL, dense)
        before, after = (
            self._hear(variant, SMALL, self.test, utterances, rate, steps) for utterances in (0, UTTERANCES)
        )
        reference = self._hear(dense, SMALL, self.test, UTTERANCES, rate, steps)
        row: dict[str, Any] = {"test": "new speakers", "user_bytes": self._user_bytes(variant)}
        for name, heard in (("before", before), ("after", after)):
            row |= _interval(name, heard)
        row |= after.change_from(reference).columns("change")
        if variant.compress is not None:
            row |= _interval("reversed", self._hear_compressed(variant.compress, dense))
        return [row]

    def adaptation(self, variant: Variant) -> Callable[[], Any]:
        """Adapts to the utterances of the first test speaker."""
        rate, steps = self._found[SMALL]
        learner, params = fine_tuning(variant.model, SMALL, rate, steps), variant.params
        support = self.test.episode(0, UTTERANCES).support
        run = jax.jit(lambda params, support: learner.adapt(params, {}, support, jax.random.key(0))[0])
        return lambda: run(params, support)

    def _user_bytes(self, variant: Variant) -> int:
        """Of what adapts to a speaker."""
        learner, support = _adapting(variant.model, SMALL, 0.0, 0), self.test.episode(0, UTTERANCES).support
        return user_bytes(jax.eval_shape(learner.adapt, variant.params, {}, support, jax.random.key(0))[0])

    def _chosen(self, method: str, dense: Variant) -> tuple[float, int]:
        """Rate and steps of the dense network that are best on validation speakers: first the one, then the other."""
        if method not in self._found:

            def error(rate: float, steps: int) -> float:
                heard = self._hear(dense, method, self.val, UTTERANCES, rate, steps)
                return error_rate(heard.characters)

            build = self._build(dense.model, method)
            chosen = choose(method, build, dense.params, error, RATES, STEPS, first_steps=CHOSEN_STEPS)
            self._found[method] = chosen.rate, chosen.steps
        return self._found[method]

    def _hear(
        self, variant: Variant, method: str, protocol: AdaptationProtocol, utterances: int, rate: float, steps: int
    ) -> Transcripts:  # fmt: skip
        """What is recognised after adapting to some utterances."""
        build = self._build(variant.model, method)
        return protocol.transcribe(method, build, variant.params, utterances, rate, steps)

    def _hear_compressed(self, compress: Compress, dense: Variant) -> Transcripts:
        """What is recognised after all weights of the dense network adapted, and were compressed then."""
        recognise = adapt_and_recognise(self._build(dense.model, "all"))
        return self._recognised(recognise, (restored(compress(weights)) for weights in self._adapted(dense)))

    def _recognised(self, recognise: Callable, weights: Iterable[PyTree]) -> Transcripts:
        """What is recognised in the queries of each test speaker, each with weights of its own, without steps."""
        heard = []
        for index, params in zip(range(len(self.test.episodes.groups)), weights, strict=False):
            rows = recognise(params, 0.0, 0, self.test.episode(index, UTTERANCES))
            heard += self.data.vocabulary.decode_rows(rows)
        return Transcripts(self.test.references, heard, self.test.speakers)

    def _adapted(self, dense: Variant) -> list[PyTree]:
        """The dense network's weights after adapting to each test speaker."""
        if "all" not in self._weights:
            learner = fine_tuning(dense.model, "all", *self._chosen("all", dense))
            adapt = jax.jit(lambda params, support: learner.adapt(params, {}, support, jax.random.key(0))[0])
            self._weights["all"] = [
                adapt(dense.params, self.test.episode(index, UTTERANCES).support)
                for index in range(len(self.test.episodes.groups))
            ]
        return self._weights["all"]

    def _build(self, model: Model, method: str) -> Build:
        """The same value for the same model, so that one program serves all of its weights."""
        return self._builds.setdefault((id(model), method), partial(_adapting, model, method))


def plainly(model: Model, rate: float, steps: int) -> MetaLearner:
    """No adaptation."""
    return maml(model, LOSS, optax.sgd(rate), 0)


def _adapting(model: Model, method: str, rate: float, steps: int) -> MetaLearner:
    """Fine-tuning of which is kept what a device would keep."""
    return differences(fine_tuning(model, method, rate, steps))


def _interval(name: str, heard: Transcripts) -> dict[str, float]:
    return bootstrap_rate(heard.characters, heard.speakers).columns(name)
