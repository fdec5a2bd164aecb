"""How well are new speakers told apart by single words, with a public network and few training speakers?

    JAXMETA_DATA=DIR python -m experiments.voices --weights resemblyzer_ge2e.safetensors    # half an hour on two cores

Recordings become mean hidden states of Resemblyzer's LSTM, which stays as it is. A linear map, fitted on training
speakers, makes what varies within a speaker alike in all directions, and cuts to where speakers differ. It may be
fitted on words alone, or on pieces of sentences by further speakers as well, which are as short as words: this, and
its size, are chosen on training speakers left out of the fit. Test speakers are met once.

Writes results.json and results.md: equal error rates with intervals over speakers, for single words, three words in
a row and whole sentences.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from experiments.voices.data import Spoken
    from jaxmeta.verification.voices import Voices
    from jaxmeta.words.embedded.spaces import Space

CLIPS, ROW = (1, 3, 5), 3
"""Recordings that enrol a voice, and words in a row."""
FOLDS, SIZES = 4, (32, 64, 128)
"""Of the training speakers of words, each left out of a fit once; and numbers of a vector."""
SHRINKAGE = 1.0
"""Of the covariance within speakers, in units of its mean variance."""
FITTED = {"words": ("words",), "words, and pieces of sentences": ("words", "pieces")}
"""What the map is fitted on, by name."""


@dataclass(frozen=True)
class Config:
    """Speakers told apart by words."""

    weights: Path
    """A safetensors file of Resemblyzer."""
    seed: int = 0
    """Of the draws of recordings."""
    workdir: Path = Path("runs/voices")
    """For results.json and results.md."""


def main(config: Config) -> dict[str, Any]:
    """Choose what to fit, fit it, test it, and write the results; returns what results.json holds.

    Raises:
      ValueError: a corpus is missing, or other weights.
    """
    from experiments.voices.data import load_speech
    from jaxmeta.training.report import stamp, write_titled_tables

    speech = load_speech(config.weights)
    validation: list[dict[str, Any]] = []
    for name in FITTED:
        validation += validated(speech, name, config.seed)
    best = min(validation, key=lambda row: row["mean"])
    print(f"validation: {validation}\nchosen: {best}", file=sys.stderr)
    fitted = fit(speech, best["fitted on"])[best["size"]]
    rows = [
        row
        for spoken in (*speech["words"], *speech["sentences"])
        for name, map_ in (("fitted", fitted), ("no fit", None))
        for row in test(spoken, name, map_, config.seed)
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "Test speakers": rows,
        "Training speakers left out of the fit, equal error in %": validation,
    }
    data = {spoken.corpus: spoken.fingerprint for spoken in (*speech["words"], *speech["sentences"])}
    return write_titled_tables(config.workdir, tables, stamp(config.seed, sys.argv, data))


class Fitted(NamedTuple):
    """A map of vectors, and training speakers to compare with."""

    space: Space
    cohort: np.ndarray
    """A unit vector of each speaker [M, size]."""


def fit(speech: Mapping[str, list[Spoken]], name: str, left_out: Sequence[str] = ()) -> dict[int, Fitted]:
    """Maps of each size, fitted on training speakers but those left out; each corpus is centred by its own."""
    import numpy as np

    from jaxmeta.verification.scoring import mean_direction
    from jaxmeta.words.embedded.spaces import fit_space, place, unit

    parts, speakers = [], []
    for kind in FITTED[name]:
        for index, spoken in enumerate(speech[kind]):
            chosen = training(spoken, left_out)
            parts.append(spoken.vectors[chosen] - spoken.vectors[chosen].mean(0))
            speakers.append(np.char.add(f"{kind} {index} ", spoken.speakers[chosen]))
    vectors, (names, of) = np.concatenate(parts), np.unique(np.concatenate(speakers), return_inverse=True)
    space = fit_space(vectors, of, max(SIZES), SHRINKAGE)
    fitted = {}
    for size in SIZES:
        # Directions come in the order of what they tell, so that a smaller map is the start of a larger one.
        smaller = space._replace(projection=space.projection[:, :size])
        fitted[size] = Fitted(smaller, mean_direction(unit(place(smaller, vectors)), of, len(names)))
    return fitted


def training(spoken: Spoken, left_out: Sequence[str] = ()) -> np.ndarray:
    """Which recordings are by training speakers that are not left out, [N] bool."""
    import numpy as np

    return (spoken.split == "train") & ~np.isin(spoken.speakers, left_out)


def directions(spoken: Spoken, chosen: np.ndarray, fitted: Fitted | None, left_out: Sequence[str] = ()) -> np.ndarray:
    """Unit vectors of the chosen recordings; without a map, of the centred states themselves."""
    from jaxmeta.words.embedded.spaces import place, unit

    centred = spoken.vectors[chosen] - spoken.vectors[training(spoken, left_out)].mean(0)
    return unit(centred if fitted is None else place(fitted.space, centred))


def scorer(fitted: Fitted | None) -> Voices:
    """What scores directions: cosines, normalised by the cohort where there is one."""
    from jaxmeta.verification.voices import floor

    return floor()._replace(cohort=None if fitted is None else fitted.cohort)


def validated(speech: Mapping[str, list[Spoken]], name: str, seed: int) -> list[dict[str, Any]]:
    """Equal errors of speakers of words who are left out of the fit, a fold after the other; five clips enrolled."""
    import numpy as np

    from jaxmeta.metrics import detection_curve, equal_error_rate
    from jaxmeta.verification.trials import enrolments, trials

    errors: dict[int, dict[str, list[float]]] = {size: {each.corpus: [] for each in speech["words"]} for size in SIZES}
    for fold in range(FOLDS):
        apart = {each.corpus: np.unique(each.speakers[training(each)])[fold::FOLDS] for each in speech["words"]}
        left_out = np.concatenate([*apart.values()]).tolist()
        for size, fitted in fit(speech, name, left_out).items():
            for spoken in speech["words"]:
                chosen = np.isin(spoken.speakers, apart[spoken.corpus])
                vectors, speakers = directions(spoken, chosen, fitted, left_out), spoken.speakers[chosen]
                scored = trials(scorer(fitted), enrolments(speakers, 5, seed), vectors, vectors, speakers)
                rate = equal_error_rate(detection_curve(scored.scores, scored.targets))
                errors[size][spoken.corpus].append(100 * rate)
    rows = []
    for size, each in errors.items():
        means = {corpus: float(np.mean(values)) for corpus, values in each.items()}
        rows.append({"fitted on": name, "size": size} | means | {"mean": float(np.mean([*means.values()]))})
    return rows


def test(spoken: Spoken, name: str, fitted: Fitted | None, seed: int) -> list[dict[str, Any]]:
    """Errors of test speakers by numbers of clips, for one recording and for several in a row."""
    from jaxmeta.verification.trials import enrolments, summary, trials, trials_in_a_row

    chosen = spoken.split == "test"
    vectors, speakers, voices = directions(spoken, chosen, fitted), spoken.speakers[chosen], scorer(fitted)
    rows = []
    for clips in CLIPS:
        enrolled = enrolments(speakers, clips, seed)
        forms = {1: trials(voices, enrolled, vectors, vectors, speakers)}
        if clips == max(CLIPS):
            forms[ROW] = trials_in_a_row(voices, enrolled, vectors, speakers, ROW, seed)
        where = {"corpus": spoken.corpus, "vectors": name, "clips": clips}
        rows += [where | {"in a row": count} | summary(each, seed) for count, each in forms.items()]
    return rows


if __name__ == "__main__":
    import tyro

    config = tyro.cli(Config, prog="python -m experiments.voices", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(config)
