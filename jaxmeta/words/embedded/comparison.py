"""All learners on embedded words: the contestants of `evaluation.comparison`, and embeddings without any training."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

import jaxmeta
from jaxmeta.data.word_corpora import Words
from jaxmeta.evaluation.comparison.protocol import Budget, Contestant, Outcome, compare
from jaxmeta.evaluation.comparison.search import Settings
from jaxmeta.evaluation.comparison.tables import accuracy_rows, best_reference, budget_rows, difference_rows
from jaxmeta.training.report import markdown_table, source_digest
from jaxmeta.words.embedded.embeddings import Embedding
from jaxmeta.words.embedded.programs import SHOTS, WAYS, programs
from jaxmeta.words.embedded.recipes import BASELINE, Recipe, recipes
from jaxmeta.words.embedded.spaces import frames_of, unit
from jaxmeta.words.embedded.stages import Episodes, Stage, alike, stage_of_search, stage_of_test, whitened

VALIDATION_EPISODES = 100
_AT_ONCE = 100
"""Episodes that are scored at once."""


def contestant(name: str, recipe: Recipe, search: Stage, test: Stage) -> Contestant:
    """A learner that is validated on one stage and tested on the other."""
    programs_of = functools.cache(lambda *values: programs(recipe, dict(zip(recipe.fixed, values, strict=True))))
    search, test = alike(search, test)
    words_of_training = 1 + int(max(search.words.max(), test.words.max()))

    def scores(stage: Stage, settings: Settings, updates: int, seed: int) -> dict[str, np.ndarray]:
        if recipe.ways not in stage.tasks:
            raise ValueError(f"{name} trains on tasks of {recipe.ways} words, and there are fewer; give more words.")
        compiled = programs_of(*(getattr(settings, name) for name in recipe.fixed))
        dynamic: Any = jax.tree.map(lambda value: jnp.asarray(float(value)), settings)
        vectors, words = jnp.asarray(stage.vectors), jnp.asarray(stage.words)
        state = compiled.begin(dynamic, vectors, words_of_training, seed)
        tasks = jax.tree.map(jnp.asarray, stage.tasks[recipe.ways])
        state = compiled.train(state, dynamic, vectors, words, tasks, updates)
        return {
            title: 100 * np.concatenate([
                compiled.score(state, dynamic, vectors, *(rows[i : i + _AT_ONCE] for rows in each[:2]), each.shots)
                for i in range(0, len(each.support), _AT_ONCE)
            ])
            for title, each in stage.episodes.items()
        }  # fmt: skip

    def validate(settings: Settings, updates: int) -> np.ndarray:
        return np.concatenate(list(scores(search, settings, updates, 0).values()))

    return Contestant(name, validate, lambda *arguments: scores(test, *arguments), not recipe.closed_form)


def without_training(embeddings: Sequence[Embedding], words: Sequence[Words], test: Stage) -> dict[str, dict]:
    """Cosines to class means in the test episodes, for each embedding and for what learners see; one "seed" each.

    Embeddings are centred by the mean of the training words: as means over time, and as all frames one after another.
    Where there are several, each is whitened by itself, too.
    """
    rows = {"whitened vectors": test.vectors}
    for embedding, each in zip(embeddings, words, strict=True):
        if len(words) > 1:
            rows[f"{embedding.name}, whitened"] = whitened(each)
        parts = [frames_of(corpus) for corpus in (each.train, *each.test.values())]
        forms = {"mean over time": [part.mean(1) for part in parts]}
        if parts[0].shape[1] > 1:
            forms["flattened"] = [part.reshape(len(part), -1) for part in parts]
        for form, vectors in forms.items():
            rows[f"{embedding.name}, {form}"] = np.concatenate(vectors) - vectors[0].mean(0)
    return {
        name: {test: cosine_accuracies(vectors, each)[None] for test, each in test.episodes.items()}
        for name, vectors in rows.items()
    }


def cosine_accuracies(vectors: np.ndarray, episodes: Episodes) -> np.ndarray:
    """Accuracy in percent of each episode [E], by cosines to the mean of each class."""
    support = vectors[episodes.support].reshape(len(episodes.support), WAYS, SHOTS, -1)
    means = unit(support[:, :, : episodes.shots].mean(2))
    chosen = np.einsum("eqd,ecd->eqc", unit(vectors[episodes.query]), means).argmax(-1)
    return 100 * (chosen == np.repeat(np.arange(WAYS), chosen.shape[1] // WAYS)).mean(-1)


def compare_embedded(
    embeddings: Sequence[Embedding], words: Sequence[Words], folder: Path, *, budget: Budget = Budget(),
    shots: Sequence[int] = (1, 5), episodes: int = 600, seed: int = 0, learners: Sequence[str] = (),
) -> tuple[str, list[dict[str, Any]]]:  # fmt: skip
    """Compare learners on frozen embeddings; returns the tables as Markdown, and the rows of accuracies.

    Args:
      embeddings: whose vectors stand side by side.
      words: of each embedding, as `stages.load_embedded` gives them.
      folder: for results, which are written as they come; a second run goes on where the first one stopped.
      budget: of every learner.
      shots: recordings of a class to adapt to, each up to 5.
      episodes: of each test.
      seed: of everything random.
      learners: names of some; none: all of them.
    """
    search = stage_of_search(words, shots, VALIDATION_EPISODES, seed)
    test = stage_of_test(words, shots, episodes, seed)
    known = recipes()
    names = [BASELINE, *(name for name in learners or known if name != BASELINE)]
    contestants = [contestant(name, known[name], search, test) for name in names]
    alone = without_training(embeddings, words, test)
    drawn = [words[0].fingerprints, list(shots), episodes, seed]
    identity = [[each.digest for each in embeddings], *drawn, source_digest(jaxmeta)]
    folder.mkdir(parents=True, exist_ok=True)

    def write(outcomes: list[Outcome]) -> None:
        (folder / "comparison.md").write_text(tables(outcomes, alone), encoding="utf-8")

    outcomes = compare(contestants, budget, folder, identity, seed, write)
    return tables(outcomes, alone), accuracy_rows(outcomes, alone)


def tables(outcomes: Sequence[Outcome], alone: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Accuracies, differences to the fine-tuned head and to the best embedding alone, and what each was given."""
    name, best = best_reference(alone)
    references = {BASELINE: next(each.scores for each in outcomes if each.name == BASELINE), name: best}
    parts = [accuracy_rows(outcomes, alone), difference_rows(outcomes, references), budget_rows(outcomes)]
    return "\n".join(markdown_table(rows, list(rows[-1])) for rows in parts)
