"""Error rates of a recogniser on speakers who were held out, with intervals over speakers."""

from typing import Any

import numpy as np

from jaxmeta.data.corpus import Corpus
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import character_edits, error_rate, word_edits
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.transcription import transcribe
from jaxmeta.training.report import markdown_table

COLUMNS = ("split", "recordings", "speakers", "CER", "WER")


def held_out_errors(recogniser: Recogniser, corpus: Corpus, seed: int = 0) -> list[dict[str, Any]]:
    """A row for each value of the column `split`: character and word error rates in percent, by greedy search.

    `cer_low` and `cer_high`, and so on, are 95 % intervals over speakers; a single speaker has none.
    Args:
      recogniser: whose features the corpus has.
      corpus: recordings with the columns `transcription`, `speaker` and `split`.
      seed: of the resamples.
    """
    spans = zip(corpus.start, corpus.length, strict=True)
    texts = transcribe(recogniser, [corpus.frames[start : start + length] for start, length in spans])
    return text_errors(texts, corpus, seed)


def text_errors(recognised: list[str], corpus: Corpus, seed: int = 0) -> list[dict[str, Any]]:
    """The rows of `held_out_errors` for what was recognised of each recording of a corpus."""
    texts = np.array(recognised)
    rows = []
    for split in dict.fromkeys(corpus.columns["split"].tolist()):
        own = corpus.columns["split"] == split
        said, speakers = corpus.columns["transcription"][own].tolist(), corpus.columns["speaker"][own]
        row = {"split": split, "recordings": len(said), "speakers": len(np.unique(speakers))}
        for name, count in (("cer", character_edits), ("wer", word_edits)):
            edits = count(said, texts[own].tolist())
            row[name] = error_rate(edits)
            if row["speakers"] > 1:
                interval = bootstrap_rate(edits, speakers, seed=seed)
                row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row)
    return rows


def error_table(rows: list[dict[str, Any]]) -> str:
    """The rows of `held_out_errors` as Markdown."""
    return markdown_table([row | {name: _shown(row, name.lower()) for name in COLUMNS[3:]} for row in rows], COLUMNS)


def _shown(row: dict[str, Any], name: str) -> str:
    if f"{name}_low" not in row:
        return f"{row[name]:.1f} %"
    return f"{row[name]:.1f} % ({row[f'{name}_low']:.1f} to {row[f'{name}_high']:.1f})"
