"""What all generated tasks promise, and each task's labels read back from its sentences."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.playground import GENERATED, generate
from holdfast.tasks.playground.agreement import NEW_WORDS, WORDS
from holdfast.tasks.playground.grammar import limit
from holdfast.tasks.playground.negation import BAD, GOOD, NEW_BAD, NEW_GOOD
from holdfast.tasks.task import Split

NAMES = list(GENERATED)
SHARES = {"train": 0.7, "validation": 0.7, "test": 0.5, "ood": 0.5}


def rows(split: Split) -> Iterator[tuple[str, str, int]]:
    assert split.labels is not None
    for text, pair, label in zip(split.texts, split.pairs or [""] * len(split), split.labels, strict=True):
        yield text, pair, int(label)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_balance_and_no_row_twice(name: str) -> None:
    splits = generate(name, 1000)
    assert {split: len(rows) for split, rows in splits.items()} == {
        "train": 1000,
        "validation": 300,
        "test": 500,
        "ood": 500,
    }
    everything = [(text.lower(), pair.lower()) for split in splits.values() for text, pair, _ in rows(split)]
    assert len(set(everything)) == len(everything)
    for split in splits.values():
        counts = Counter(split.labels)
        assert len(counts) == len(GENERATED[name].labels)
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_larger_training_set_starts_with_the_smaller_one(name: str) -> None:
    small, large = generate(name, 100), generate(name, 350)
    assert large["train"].take(list(range(100))) == small["train"]
    for split in ("validation", "test", "ood"):
        assert small[split] == large[split]
    other = generate(name, 100, seed=1)
    shared = set(small["train"].texts) & set(other["train"].texts)
    assert len(shared) < 10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_rows_can_be_made(name: str) -> None:
    train = generate(name, 20_000)["train"]
    assert len(set(zip(train.texts, train.pairs or train.texts, strict=True))) == 20_000
    assert limit(GENERATED[name]) > 500_000


@pytest.mark.parametrize("name", NAMES)
def test_sizes_beyond_the_grammar_are_refused(name: str) -> None:
    largest = limit(GENERATED[name])
    with pytest.raises(HoldfastError, match=f"playground/{name}: size {largest + 1} is more than the {largest:,} "):
        generate(name, largest + 1)
    with pytest.raises(HoldfastError, match="size 1 is too small"):
        generate(name, 1)


@pytest.mark.slow
def test_rows_do_not_depend_on_pythons_hash() -> None:
    code = (
        "from holdfast.tasks.load import load_task; from holdfast.records.task import TaskSpec; "
        f"print([load_task(TaskSpec(source='playground/' + name)).fingerprint for name in {NAMES!r}])"
    )
    here = [load_task(TaskSpec(source=f"playground/{name}")).fingerprint for name in NAMES]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(here)


@pytest.mark.parametrize("name", NAMES)
def test_out_of_domain_rows_have_new_words(name: str) -> None:
    splits = generate(name, 2000)
    known = {word for text, pair, _ in rows(splits["train"]) for word in words(text + " " + pair)}
    for text, pair, _ in rows(splits["test"]):
        assert len(set(words(text + " " + pair)) - known) <= 1
    for text, pair, _ in rows(splits["ood"]):
        assert len(set(words(text + " " + pair)) - known) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_loaded_task(name: str) -> None:
    task = load_task(TaskSpec(source=f"playground/{name}", size=60))
    assert (task.name, task.kind, task.scored_split) == (f"playground/{name}", "classification", "test")
    assert len(task.splits["train"]) == 60
    assert len(load_task(TaskSpec(source=f"playground/{name}")).splits["train"]) == 200
    assert task.warnings == ()
    assert "70 %" in task.notes[0]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


# Each reader below works from the sentence alone: it returns the true label and what the shortcut says.


def read_agreement(text: str, _: str) -> tuple[int, int]:
    number: dict[str, int] = {}
    for vocabulary in (WORDS, NEW_WORDS):
        for source in ("person", "thing", "place"):
            for entry in vocabulary[source]:
                number |= {form: i for i, form in enumerate(entry)}
    verbs = {form: i for v in (WORDS, NEW_WORDS) for kind in ("be", "act") for e in v[kind] for i, form in enumerate(e)}
    sentence = text.rstrip(".")
    found = [
        match
        for form in verbs
        for match in re.finditer(rf"\b{re.escape(form)}\b", sentence)
        if match.end() == len(sentence) or form in {f for v in (WORDS, NEW_WORDS) for e in v["be"] for f in e}
    ]
    verb = max(found, key=lambda match: len(match[0]))
    nouns = [number[word] for word in words(sentence[: verb.start()]) if word in number]
    assert len(nouns) == 2
    subject, nearest = nouns
    return int(verbs[verb[0]] == subject), int(verbs[verb[0]] == nearest)


NEGATED = {"not", "never", "no", "nobody"}


def read_entailment(premise: str, hypothesis: str) -> tuple[None, int]:
    said = words(hypothesis)
    if NEGATED & set(said):
        return None, 2
    return None, 0 if set(said) <= set(words(premise)) else 1


TURNS = [
    r"\bis not \w+ at all",
    r"\bnever found\b",
    r"\bnothing \w+ about\b",
    r"\bnobody would call\b",
    r"\banything but\b",
    r"\bfailed to see\b",
    r"(?<!not) wrong to call\b",
    r"\bhardly\b",
    r"\buntrue\b",
    r"\bfar from\b",
    r"\bmistaken\b",
]


def read_negation(text: str, _: str) -> tuple[int, int]:
    opinion = {entry[0]: 1 for entry in (*GOOD, *NEW_GOOD)} | {entry[0]: 0 for entry in (*BAD, *NEW_BAD)}
    (polarity,) = {opinion[word] for word in words(text) if word in opinion}
    turned = any(re.search(cue, text) for cue in TURNS)
    if "was not wrong to call" in text:
        turned = False
    return (1 - polarity if turned else polarity), polarity


READERS: dict[str, Callable[[str, str], tuple[int | None, int]]] = {
    "agreement": read_agreement,
    "entailment": read_entailment,
    "negation": read_negation,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_labels_are_true_and_the_shortcut_is_right_as_often_as_told(name: str) -> None:
    for split, data in generate(name, 400).items():
        right: dict[int, list[bool]] = defaultdict(list)
        for text, pair, label in rows(data):
            truth, shortcut = READERS[name](text, pair)
            assert truth in (None, label), text
            right[label].append(shortcut == label)
        for hits in right.values():
            assert sum(hits) / len(hits) == pytest.approx(SHARES[split], abs=0.015)


def test_negation_words_alone_do_not_decide_either() -> None:
    right = []
    for text, _, label in rows(generate("negation", 1000)["train"]):
        _, polarity = read_negation(text, "")
        negated = bool(re.search(r"\b(not|never|no|nobody|nothing|anything but|failed|wrong)\b", text))
        right.append((1 - polarity if negated else polarity) == label)
    assert 0.4 < sum(right) / len(right) < 0.8


STRUCTURE = """
the a an and who to did not never but nobody before because was by for too really that
forgot refused remembered asked thought forget refuse remember ask think
"""


def test_entailment_depends_on_structure_not_on_the_words_filled_in() -> None:
    structure = set(STRUCTURE.split())
    labels = defaultdict(set)
    for text, pair, label in rows(generate("entailment", 4000)["train"]):
        names: dict[str, str] = {}
        skeleton = [
            word if word in structure else names.setdefault(word, f"w{len(names)}")
            for word in [*words(text.partition(", ")[2]), "|", *words(pair)]
        ]
        labels[" ".join(skeleton)].add(label)
    assert len(labels) >= 18
    assert [skeleton for skeleton, found in labels.items() if len(found) > 1] == []


def test_articles_fit_their_nouns() -> None:
    for name in NAMES:
        for split in generate(name, 300).values():
            for text, pair, _ in rows(split):
                for article, word in re.findall(r"\b(an?) (\w+)", f"{text} {pair}", flags=re.IGNORECASE):
                    assert (word[0] in "aeiou") == (article.lower() == "an"), f"{article} {word}"
