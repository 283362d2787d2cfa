"""Whole entities, names of several words, found and missed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence


def entity_f1(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float | None:
    """Return F1 over entities, in 0..1, of tags such as ``B-PER``, ``I-PER`` and ``O``, one a word of each row.

    An entity counts as found where its first word, its last word and its type are all right, over all types
    together: seqeval's default, which counts as the CoNLL shared task's conlleval does and reads IOB1, IOB2 and BIOES.
    BILOU is read as BIOES. None where neither side has any entity.
    """
    from seqeval.metrics import f1_score
    from seqeval.metrics.sequence_labeling import get_entities

    wanted, guessed = _as_bioes(truth), _as_bioes(predicted)
    with warnings.catch_warnings():
        # seqeval warns of tags that are of no scheme, and where nothing was predicted.
        warnings.simplefilter("ignore")
        if not get_entities(wanted) and not get_entities(guessed):
            return None
        return float(f1_score(wanted, guessed, zero_division=0))


def _as_bioes(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    letters = {"L-": "E-", "U-": "S-"}
    return [[letters.get(tag[:2], tag[:2]) + tag[2:] for tag in row] for row in rows]
