"""Which characters are taken for which."""

from collections import Counter
from collections.abc import Sequence

import jiwer


def character_confusions(references: Sequence[str], hypotheses: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often each character was recognised as another one, in the alignments of fewest edits.

    Args:
      references: R texts that were said.
      hypotheses: R texts that were recognised.
    Returns:
      (said, recognised) -> times; "" said is an insertion, "" recognised a deletion.
    Raises:
      ValueError: no rows, or not as many of the one as of the other.

    >>> character_confusions(["bad"], ["bet"]).most_common()
    [(('a', 'e'), 1), (('d', 't'), 1)]
    """
    if len(references) != len(hypotheses) or not references:
        raise ValueError(f"got {len(references)} references and {len(hypotheses)} hypotheses; give one of each a row.")
    output = jiwer.process_characters(list(references), list(hypotheses))
    counts: Counter[tuple[str, str]] = Counter()
    # jiwer's own texts, to which its indices belong: blanks at the ends are gone.
    for said, written, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True):
        for chunk in chunks:
            if chunk.type == "equal":
                continue
            of = said[chunk.ref_start_idx : chunk.ref_end_idx]
            to = written[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type == "substitute":
                counts.update(zip(of, to, strict=True))
            else:
                counts.update([(character, "") for character in of] + [("", character) for character in to])
    return counts
