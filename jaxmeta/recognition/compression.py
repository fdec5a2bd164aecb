"""A recogniser to be compressed: a CTC network, which adapts to speakers by gradient steps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxmeta import MetaLearner, Model, Ragged, maml
from jaxmeta.compress.coupled import recogniser_groups
from jaxmeta.compress.user_deltas import differences, user_bytes
from jaxmeta.compress.variants import Compress, Variant, restored
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import error_rate
from jaxmeta.evaluation.adaptation import AdaptationProtocol, Build, adapt_and_recognise, padded_lengths
from jaxmeta.evaluation.choosing import ChosenMethod, choose
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.models.acoustic import recogniser
from jaxmeta.recognition.adaptation import LOSS, fine_tuning
from jaxmeta.recognition.presets import RecogniserPreset
from jaxmeta.recognition.training import train_in_stages, train_on_all_speakers
from jaxmeta.types import PyTree

UTTERANCES = 5
"""That are adapted to."""
RATES, STEPS = (0.003, 0.01, 0.03, 0.1, 0.3), (1, 2, 5, 10, 20)
"""To choose from on validation speakers: first the rate, with `RATE_STEPS`, then the number of steps."""
RATE_STEPS = 5
NORMS, ALL = "norms", "all"
"""What adapts: on a device, scales and biases, float beside frozen matrices of any kind; or all weights."""
BATCH = 16


class RecogniserNetwork:
    """A recogniser, as a `compress.variants.TwoStageNetwork`, that is adapted to speakers whom it never heard."""

    groups = staticmethod(recogniser_groups)

    def __init__(
        self,
        stages: Mapping[str, tuple[Corpus, int]],
        val: Corpus,
        test: Corpus,
        vocabulary: Vocabulary,
        training: RecogniserPreset,
        directory: Path,
        *,
        trained: Path | None = None,
        lengths: int = 1,
        seed: int,
    ):
        """Args:
        stages: as in `training.train_in_stages`: two, of which the first gives the early weights; or only one, of a
          network that is not trained again.
        val, test: utterances of other speakers.
        vocabulary: of the transcripts.
        training: of each stage.
        directory: for a folder of each training, and for what is recognised.
        trained: a directory where `train_in_stages` has trained these stages; None: `directory`.
        lengths: that speakers' utterances are padded to, each a program of its own.
        seed: of everything random.
        """
        self.stages, self.val, self.vocabulary, self.training = dict(stages), val, vocabulary, training
        self.directory, self.trained, self.seed = directory, trained or directory, seed
        episodes = [
            adaptation_episodes(corpus, vocabulary, supports=(0, UTTERANCES), query=10, seed=seed)
            for corpus in (val, test)
        ]
        padded = padded_lengths(episodes, lengths)
        self.validation, self.test = (
            AdaptationProtocol(each, vocabulary, directory / name, padded)
            for each, name in zip(episodes, ("val", "test"), strict=True)
        )
        self._builds: dict[Any, Build] = {}
        self._chosen: dict[str, ChosenMethod] = {}
        self._adapted: list[PyTree] = []

    def build(self, **options: Any) -> Model:
        """The network; options are more arguments of `recogniser`."""
        return recogniser(self.vocabulary.size, self.training.encoder, self.training.size, **options)

    @cached_property
    def inputs(self) -> Ragged:
        """The first utterance of the first test speaker, as the network takes it."""
        query = self.test.episode(0, 0).query.inputs
        length = int(query.lengths[0])
        return Ragged(query.values[:1, :length], query.lengths[:1])

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        options: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree:  # fmt: skip
        """Weights after one stage, as `TwoStageNetwork.train`; None where there is no early stage."""
        model = self.build(dropout=self.training.dropout, **(options or {}))
        if name in ("early", "dense"):
            *earlier, last = self.stages.items()
            stages = dict(earlier if name == "early" else [*earlier, last])
            return train_in_stages(
                model, stages, self.val, self.vocabulary, self.training, self.trained, seed=self.seed
            )  # fmt: skip
        corpus, updates = list(self.stages.values())[-1]
        done = {stage: [count, each.fingerprint] for stage, (each, count) in self.stages.items()}
        return train_on_all_speakers(
            model, corpus, self.val, self.vocabulary, self.training._replace(updates=updates), self.directory / name,
            seed=self.seed, config={"stages": done} | dict(config or {}), params=start,
            update_transform=update_transform,
        )  # fmt: skip

    def recordings(self, count: int) -> Iterator[Ragged]:
        """Training utterances of about the median length, in batches: padding would count as silence."""
        corpus, _ = list(self.stages.values())[-1]
        rows = np.argsort(np.abs(corpus.length - np.median(corpus.length)), kind="stable")[:count]
        for some in np.array_split(rows, -(-count // BATCH)):
            yield gather(corpus, some, int(round_up(corpus.length[rows].max())))

    def measure(self, variant: Variant, dense: Variant) -> list[dict]:
        """One row with character error rates in percent, with 95 % intervals over speakers.

        `before` any adaptation; `after` scales and biases of the compressed network adapted; `reversed`: all weights
        of the dense network adapted, which was compressed then. A network that computes in integers has nothing that
        could adapt, and is measured as it is.
        """
        row: dict[str, Any] = {"test": "new speakers"}
        if variant.integers:
            before = self._recognised(adapt_and_recognise(partial(unadapted, variant.model)), repeat(variant.params))
            return [row | {"user_bytes": 0} | _rate("before", before)]
        chosen = self._choose(NORMS, dense)
        before, after = (self._transcribe(variant, chosen, utterances) for utterances in (0, UTTERANCES))
        row |= {"user_bytes": self._user_bytes(variant)} | _rate("before", before) | _rate("after", after)
        row |= after.change_from(self._transcribe(dense, chosen, UTTERANCES)).columns("change")
        if variant.compress is not None:
            row |= _rate("reversed", self._compressed_after_adaptation(variant.compress, dense))
        return [row]

    def adaptation(self, variant: Variant) -> Callable[[], Any]:
        """Adapts to the utterances of the first test speaker; after `measure`, which chooses the rate and the steps."""
        chosen, params = self._chosen[NORMS], variant.params
        learner, support = fine_tuning(variant.model, NORMS, chosen.rate, chosen.steps), self._support(0)
        run = jax.jit(lambda params, support: learner.adapt(params, {}, support, jax.random.key(0))[0])
        return lambda: run(params, support)

    def _support(self, speaker: int) -> Any:
        return self.test.episode(speaker, UTTERANCES).support

    def _user_bytes(self, variant: Variant) -> int:
        """Of what adapts to a speaker."""
        learner = _adapting(variant.model, NORMS, 0.0, 0)
        return user_bytes(jax.eval_shape(learner.adapt, variant.params, {}, self._support(0), jax.random.key(0))[0])

    def _choose(self, adapts: str, dense: Variant) -> ChosenMethod:
        """The rate and steps of the dense network that are best on validation speakers."""
        if adapts not in self._chosen:
            build, params = self._build(dense.model, adapts), dense.params

            def error(rate: float, steps: int) -> float:
                texts = self.validation.transcribe(adapts, build, params, UTTERANCES, rate, steps)
                return error_rate(texts.characters)

            self._chosen[adapts] = choose(adapts, build, params, error, RATES, STEPS, first_steps=RATE_STEPS)
        return self._chosen[adapts]

    def _transcribe(self, variant: Variant, chosen: ChosenMethod, utterances: int) -> Transcripts:
        build = self._build(variant.model, chosen.name)
        return self.test.transcribe(chosen.name, build, variant.params, utterances, chosen.rate, chosen.steps)

    def _compressed_after_adaptation(self, compress: Compress, dense: Variant) -> Transcripts:
        """What is recognised after all weights of the dense network adapted to each speaker, and were compressed."""
        chosen, speakers = self._choose(ALL, dense), range(len(self.test.episodes.groups))
        if not self._adapted:
            learner = fine_tuning(dense.model, ALL, chosen.rate, chosen.steps)
            adapt = jax.jit(lambda params, support: learner.adapt(params, {}, support, jax.random.key(0))[0])
            self._adapted = [adapt(dense.params, self._support(speaker)) for speaker in speakers]
        recognise = adapt_and_recognise(self._build(dense.model, ALL))
        return self._recognised(recognise, (restored(compress(weights)) for weights in self._adapted))

    def _recognised(self, recognise: Callable, weights: Iterable[PyTree]) -> Transcripts:
        """What is recognised in the queries of each test speaker, each with weights of its own, without steps."""
        texts: list[str] = []
        for index, params in zip(range(len(self.test.episodes.groups)), weights, strict=False):
            texts += self.vocabulary.decode_rows(recognise(params, 0.0, 0, self.test.episode(index, UTTERANCES)))
        return Transcripts(self.test.references, texts, self.test.speakers)

    def _build(self, model: Model, adapts: str) -> Build:
        """The same value for the same model, so that one program serves all of its weights."""
        return self._builds.setdefault((id(model), adapts), partial(_adapting, model, adapts))


def unadapted(model: Model, rate: float, steps: int) -> MetaLearner:
    """A learner that does not adapt, whatever the rate and the steps."""
    return maml(model, LOSS, optax.sgd(rate), 0)


def _adapting(model: Model, adapts: str, rate: float, steps: int) -> MetaLearner:
    """Fine-tuning, whose results are in the form that a device would store."""
    return differences(fine_tuning(model, adapts, rate, steps))


def _rate(name: str, texts: Transcripts) -> dict[str, float]:
    return bootstrap_rate(texts.characters, texts.speakers).columns(name)
