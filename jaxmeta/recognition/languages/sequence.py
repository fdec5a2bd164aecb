"""Languages learnt one after another by a recogniser: fine-tuning, fine-tuning with replay, and progressive columns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.by_language import rows_of_language
from jaxmeta.data.sampling.replay import batches_of_rows, with_replay
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.decoding.greedy import greedy
from jaxmeta.evaluation.transfer import Errors, matrix_rows, transfer_rows
from jaxmeta.learners.newest_column import freeze, newest_column, next_column, thaw
from jaxmeta.learners.progressive import column_outputs
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.presets import LanguageTraining
from jaxmeta.recognition.training import augmentation
from jaxmeta.recognition.transcription import transcribe_rows
from jaxmeta.training.fit import fit
from jaxmeta.types import Episode, Model, PyTree, Ragged

SCRATCH, FINE_TUNING, REPLAY, PROGRESSIVE = "scratch", "fine-tuning", "replay", "progressive"


class SequenceErrors(NamedTuple):
    """Edits of the test utterances of languages, in the order in which these were learnt."""

    scratch: list[Edits]
    """Of each language learnt alone from random weights."""
    methods: dict[str, Errors]
    """Method -> edits of each language after each step; of columns, those of the languages that have one."""
    speakers: list[list[str]]
    """Of the test utterances of each language."""

    def tables(self, languages: Sequence[str]) -> tuple[list[dict], list[dict]]:
        """Rows of error matrices and of transfer, of all methods; languages in order. See `evaluation.transfer`."""
        matrices, transfer = [], []
        for method, errors in self.methods.items():
            matrices += matrix_rows(method, languages, errors)
            transfer += transfer_rows(method, languages, errors, self.scratch, self.speakers)
        return matrices, transfer


class LanguageSequence:
    """Training and test of one recogniser on languages in turn, with checkpoints of every step."""

    def __init__(
        self,
        layers: Sequence[Model],
        corpus: Corpus,
        vocabulary: Vocabulary,
        languages: Sequence[str],
        training: LanguageTraining,
        directory: Path,
        *,
        count: Callable[[Sequence[str], Sequence[str]], Edits],
        seed: int,
        config: Mapping[str, Any],
    ):
        """Args:
        layers: of the recogniser, such as `models.acoustic_layers.recogniser_layers` gives them.
        corpus: with the columns `transcription`, `language`, `speaker` and `split` ("train" and "test").
        vocabulary: of all languages.
        languages: in the order in which they are learnt.
        training: of each.
        directory: for a folder of each method and language.
        count: (references, hypotheses) -> edits, such as `decoding.error_rates.character_edits`.
        seed: of initial weights, the order of utterances, the augmentation and what replay stores.
        config: what decides the results besides `training` and the seed.
        """
        self.layers, self.corpus, self.vocabulary, self.languages = layers, corpus, vocabulary, tuple(languages)
        self.training, self.directory, self.count, self.seed = training, directory, count, seed
        self.config = dict(config) | training._asdict() | {"seed": seed}
        self._recognise = jax.jit(
            lambda columns, speech: greedy(
                column_outputs(layers, {"columns": columns}, len(columns) - 1, speech, jax.random.key(0))
            )
        )

    def run(self) -> SequenceErrors:
        """Learn the languages alone, and in turn by every method, or load what was learnt before."""
        random, places = self._random_column([]), range(len(self.languages))
        alone = [self._learn(SCRATCH, place, [], *random) for place in places]
        scratch = [self._edits([column], place) for place, column in enumerate(alone)]
        print(f"from scratch: {[round(error_rate(edits), 1) for edits in scratch]} % errors", file=sys.stderr)
        methods = {name: self._in_turn(name, alone[0]) for name in (FINE_TUNING, REPLAY, PROGRESSIVE)}
        speakers = [self.corpus.columns["speaker"][self._rows(place, "test")].tolist() for place in places]
        return SequenceErrors(scratch, methods, speakers)

    def stored(self, place: int) -> np.ndarray:
        """The rows of the corpus that replay stores of the language at a place of the sequence."""
        return np.random.default_rng(self.seed).permutation(self._rows(place, "train"))[: self.training.stored]

    def _in_turn(self, method: str, first: PyTree) -> Errors:
        errors: dict[tuple[int, int], Edits] = {}
        columns = [first]
        for place in range(len(self.languages)):
            if place and method == PROGRESSIVE:
                columns = [*columns, self._learn(method, place, columns, *self._random_column(columns))]
            elif place:
                columns = [self._learn(method, place, [], *thaw(columns[0]))]
            for other in range(place + 1 if method == PROGRESSIVE else len(self.languages)):
                # Each language has a column, so that of the language that is spoken has to be known.
                errors[place, other] = self._edits(columns[: other + 1] if method == PROGRESSIVE else columns, other)
        return errors

    def _learn(self, method: str, place: int, columns: list[PyTree], start: PyTree, state: PyTree) -> PyTree:
        """A column trained on one language from these weights, beside frozen ones or alone."""
        name, training = self.languages[place], self.training
        trained = fit(
            newest_column(self.layers, columns, start, state, LOSS), self._batches(method, place), training.updates,
            training.rate, self.directory / method / f"{place}_{name}",
            augment=augment_episode(augmentation(), on="query"), features=self.corpus.frames.shape[1], seed=self.seed,
            config=self.config | {"method": method, "language": name},
        )  # fmt: skip
        return freeze(trained.params, trained.state["new"])

    def _random_column(self, columns: list[PyTree]) -> tuple[PyTree, PyTree]:
        speech: Any = (np.zeros((1, 8, self.corpus.frames.shape[1]), np.float32), np.full(1, 8, np.int32))
        return next_column(self.layers, columns, Ragged(*speech), jax.random.key(self.seed))

    def _batches(self, method: str, place: int) -> Callable[[int], Episode]:
        rows, replayed = self._rows(place, "train"), self.training.replayed if method == REPLAY and place else 0
        fresh = batches_of_rows(
            self.corpus, self.vocabulary, rows, size=self.training.batch_size - replayed,
            padded=self.training.max_frames, seed=self.seed,
        )  # fmt: skip
        if not replayed:
            return fresh
        return with_replay(fresh, np.concatenate([self.stored(earlier) for earlier in range(place)]), replayed)

    def _edits(self, columns: list[PyTree], place: int) -> Edits:
        rows = self._rows(place, "test")
        texts = transcribe_rows(
            self.corpus,
            self.vocabulary,
            rows,
            self.training.max_frames,
            lambda speech: self._recognise(columns, speech),
        )
        return self.count(self.corpus.columns["transcription"][rows].tolist(), texts)

    def _rows(self, place: int, split: str) -> np.ndarray:
        return rows_of_language(self.corpus, self.languages[place], split, self.training.max_frames)
