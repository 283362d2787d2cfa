"""What a tokenizer cannot see of texts: what it has only the unknown token for, what it drops, rows it makes equal."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.records.task import Kind
from holdfast.tasks.task import Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AT_A_TIME = 1000
"""Rows whose texts are held as tokens."""
_WORTH_A_WARNING = 0.01
"""Share of tokens or rows: a few rare signs among many words do no harm, and are no reason for another model."""
_SHOWN = 40
"""Characters of a text that are shown of it."""

Row = list[str]
"""The texts of a row, or one of its words."""


@dataclass
class Unknown:
    """What a tokenizer cannot see of the rows of a split; for words with a class each, of its words."""

    rows: int = 0
    lost: int = 0
    """Rows with a text of which nothing but unknown tokens, or no token at all, is left."""
    lost_example: str = ""
    tokens: int = 0
    unknown: int = 0
    """Tokens that are the unknown one."""
    example: str = ""
    merged: int = 0
    """Rows with another label than a row of other words that is the same to the tokenizer."""
    merged_example: tuple[str, str] = ("", "")
    dropped: int = 0
    """Rows with characters that the tokenizer drops, or whose marks it drops; accents on Latin letters aside."""
    dropped_characters: list[str] = field(default_factory=list)


def count_unknown(split: Split, tokenizer: PreTrainedTokenizerBase, kind: Kind) -> Unknown:
    """Return what ``tokenizer`` cannot see of the texts, pairs, choices, words and texts to write of ``split``.

    All zero for a tokenizer of bytes or characters without an unknown token, which has a token for everything.
    """
    tally = Unknown()
    mark = tokenizer.unk_token_id
    if not len(split) or (mark is None and not tokenizer.is_fast):
        return tally
    rows = list(_rows(split, kind))
    tally.rows = len(rows)
    # What is read, apart from what is to be written.
    read = 1 if kind == "generation" else None
    codes: list[int] = []
    for start in range(0, len(rows), _AT_A_TIME):
        part = rows[start : start + _AT_A_TIME]
        ids = iter(_tokens([text for row in part for text in row], tokenizer))
        for row in part:
            pieces = [next(ids) for _ in row]
            _count(row, pieces, mark, tally)
            codes.append(hash(tuple(map(tuple, pieces[:read]))))
            if kind == "choice" and (same := _same_choices(row[1:], pieces[1:])):
                tally.merged += 1
                tally.merged_example = same
    if kind != "tokens" and split.labels is not None:
        _merge(codes, [row[:read] for row in rows], split.labels, tally)
    _drop(rows, tokenizer, tally)
    return tally


def unknown_notes(
    splits: Mapping[str, Split], tokenizer: PreTrainedTokenizerBase, kind: Kind
) -> tuple[list[str], list[str]]:
    """Return notes and warnings of what ``tokenizer`` cannot see of ``splits``, with counts and an example each."""
    counts = {name: count_unknown(split, tokenizer, kind) for name, split in splits.items()}
    notes: list[str] = []
    warnings: list[str] = []
    unit = "words" if kind == "tokens" else "rows"
    if count := _rows_with(counts, "lost"):
        example = next(one.lost_example for one in counts.values() if one.lost)
        train = counts.get("train", Unknown())
        so = "so this model cannot learn the task" if 2 * train.lost > train.rows else "nothing can be learnt from them"
        if _share(counts, "lost") >= _WORTH_A_WARNING:
            so += "; choose a model with a vocabulary for these characters, or one that reads bytes"
        what = "are" if kind == "tokens" else "hold a text that is"
        warnings.append(
            f"{count} {unit} {what} nothing but unknown tokens to the model's tokenizer, "
            f"such as {_shown(example)}: {so}"
        )
    if count := _rows_with(counts, "merged"):
        first, second = next(one.merged_example for one in counts.values() if one.merged)
        warnings.append(
            f"{count} {unit} are the same to the model's tokenizer as one with another label, "
            f"such as {_shown(first)} and {_shown(second)}"
        )
    tokens, unknown = (sum(getattr(one, name) for one in counts.values()) for name in ("tokens", "unknown"))
    if unknown:
        example = next(one.example for one in counts.values() if one.unknown)
        share = unknown / tokens
        percent = f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"
        line = f"{percent} of the tokens ({unknown} of {tokens}) are unknown to the model's tokenizer, such as in "
        (warnings if share >= _WORTH_A_WARNING else notes).append(line + _shown(example))
    if count := _rows_with(counts, "dropped"):
        characters = list(dict.fromkeys(sign for one in counts.values() for sign in one.dropped_characters))
        more = f" and {len(characters) - 5} more" if len(characters) > 5 else ""
        line = (
            f"{count} {unit} hold characters that the model's tokenizer drops or takes the marks off: "
            f"{', '.join(map(repr, characters[:5]))}{more}"
        )
        if _share(counts, "dropped") >= _WORTH_A_WARNING:
            warnings.append(f"{line}; choose a model for their script")
        else:
            notes.append(line)
    return notes, warnings


def _rows(split: Split, kind: Kind) -> Iterator[Row]:
    if kind == "tokens":
        yield from ([word] for row in split.words or () for word in row)
        return
    written = split.accepted if kind == "generation" and split.labels is not None else None
    for place, text in enumerate(split.texts):
        row = [text]
        if split.pairs is not None:
            row.append(split.pairs[place])
        if split.choices is not None:
            row += split.choices[place]
        if written is not None:
            row += written[place]
        yield row


def _tokens(texts: list[str], tokenizer: Any) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )["input_ids"]
    return ids


def _count(row: Row, pieces: Sequence[list[int]], mark: int | None, tally: Unknown) -> None:
    lost = False
    for text, ids in zip(row, pieces, strict=True):
        unknown = 0 if mark is None else ids.count(mark)
        tally.tokens += len(ids)
        tally.unknown += unknown
        if unknown and not tally.example:
            tally.example = text
        if unknown == len(ids) and text.strip():
            lost = True
            tally.lost_example = tally.lost_example or text
    tally.lost += lost


def _same_choices(choices: Row, pieces: Sequence[Sequence[int]]) -> tuple[str, str] | None:
    seen: dict[tuple[int, ...], str] = {}
    for choice, ids in zip(choices, pieces, strict=True):
        other = seen.setdefault(tuple(ids), choice)
        if _plain([other]) != _plain([choice]):
            return other, choice
    return None


def _merge(codes: Sequence[int], rows: Sequence[Row], labels: Sequence[Any], tally: Unknown) -> None:
    """Count rows that are equal to the tokenizer, and neither in their words nor in their labels."""
    places = defaultdict(list)
    for place, code in enumerate(codes):
        places[code].append(place)
    for same in places.values():
        if len(same) < 2 or len({labels[place] for place in same}) < 2:
            continue
        words = {place: _plain(rows[place]) for place in same}
        pairs = {(words[place], labels[place]) for place in same}
        of_words, of_label = Counter(one for one, _ in pairs), Counter(label for _, label in pairs)
        for place in same:
            # All that differ in words and in label: without those of these words, or of this label, or of both.
            if len(pairs) - of_words[words[place]] - of_label[labels[place]] + 1:
                tally.merged += 1
                if not any(tally.merged_example):
                    other = next(o for o in same if words[o] != words[place] and labels[o] != labels[place])
                    tally.merged_example = " / ".join(rows[place]), " / ".join(rows[other])


def _plain(row: Row) -> tuple[str, ...]:
    """Return ``row`` without case and spacing, which many a tokenizer drops on purpose."""
    return tuple(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in row)


def _drop(rows: Sequence[Row], tokenizer: Any, tally: Unknown) -> None:
    normaliser = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    if normaliser is None:
        return
    signs: set[str] = set().union(*(text for row in rows for text in row))
    gone = {sign for sign in signs if _matters(sign) and _is_dropped(sign, normaliser)}
    if gone:
        hit = [row for row in rows if any(not gone.isdisjoint(text) for text in row)]
        tally.dropped = len(hit)
        tally.dropped_characters = sorted(gone)


def _matters(sign: str) -> bool:
    """Return whether ``sign`` is a letter, mark or digit that is no accent, no Latin or Greek letter, not invisible."""
    return (
        not sign.isascii()
        and unicodedata.category(sign)[0] in "LMN"
        and not unicodedata.name(sign, "").startswith(("LATIN", "GREEK", "COMBINING", "VARIATION SELECTOR"))
    )


def _is_dropped(sign: str, normaliser: Any) -> bool:
    whole = unicodedata.normalize("NFD", sign)
    base = "".join(one for one in whole if unicodedata.category(one) != "Mn")
    left = "" if base == whole else base
    return bool(normaliser.normalize_str(f"a{sign}a") == normaliser.normalize_str(f"a{left}a"))


def _rows_with(counts: Mapping[str, Unknown], what: str) -> str:
    """Return, as ``3 of 64 train, 1 of 16 validation``, how many rows of each split are so."""
    numbers = {name: (getattr(one, what), one.rows) for name, one in counts.items()}
    return ", ".join(f"{count} of {rows} {name}" for name, (count, rows) in numbers.items() if count)


def _share(counts: Mapping[str, Unknown], what: str) -> float:
    return float(sum(getattr(one, what) for one in counts.values()) / sum(one.rows for one in counts.values()))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
