"""Classes of one task read as classes of another, so that a tuned model can be scored there as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, nearest
from holdfast.tasks.kinds.predicted import PREDICTED
from holdfast.tasks.numbers import is_number
from holdfast.tasks.overlap import plain
from holdfast.tasks.table import listed
from holdfast.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Link = tuple[int, int]
"""A class of the tuned task and one of the target that are the same, by their indices."""

_SPELLINGS = {
    "entailment": ("entails", "entailed"),
    "not_entailment": ("non_entailment", "no_entailment", "not_entailed"),
    "contradiction": ("contradicts", "contradictory"),
    "equivalent": ("duplicate", "paraphrase"),
    "not_equivalent": ("not_duplicate", "non_duplicate", "not_paraphrase", "non_paraphrase"),
    "negative": ("neg",),
    "positive": ("pos",),
}
"""Classes that mean the same under other names."""

_SAYS_NOTHING = re.compile(r"[+-]?[\d.]+|(label|class)[\s_-]*\d+", re.IGNORECASE)
"""Names of classes under which any two tasks agree, whatever they ask."""
_MEANING = {other: name for name, others in _SPELLINGS.items() for other in others}
_ENTAILMENT = {"entailment", "neutral", "contradiction", "not_entailment"}


@dataclass(frozen=True)
class LabelMap:
    """How outputs of a model tuned on one task and labels of another become comparable."""

    names: tuple[str, ...]
    """The classes in which the score is counted; the target's own, in its order, unless these had to be merged."""
    tuned: tuple[int, ...]
    """For each class that the model was tuned on, the index in ``names`` of the one it counts as."""
    target: tuple[int, ...]
    """The same for each class of the target."""
    note: str
    """The mapping in words, ``neutral, contradiction -> not_entailment``; empty where names agree and say something."""

    def outputs(self, logits: Array) -> Array:
        """Turn logits ``(rows, classes tuned on)`` into ``(rows, len(names))``: of merged classes the largest.

        The predicted class is then what the model's own prediction counts as; merging never changes a prediction, as
        adding up probabilities could.
        """
        import numpy as np

        logits = np.asarray(logits)
        members = [[i for i, name in enumerate(self.tuned) if name == k] for k in range(len(self.names))]
        return np.stack([logits[:, columns].max(axis=1) for columns in members], axis=1)

    def labels(self, labels: Iterable[int]) -> list[int]:
        """Turn class indices of the target into indices of ``names``."""
        return [self.target[label] for label in labels]


def map_labels(tuned: Task, target: Task, declared: Sequence[tuple[str, str]] = ()) -> LabelMap | None:
    """Find which class of ``tuned`` counts as which class of ``target``; None where both ask for something else.

    Without classes there is nothing to map; words' classes and choices must be the same in both.

    Classes of the same name are the same, whatever their order and spelling (case, spaces, hyphens); so are a few names
    that mean the same, such as ``duplicate`` and ``equivalent``. Where two entailment tasks have different sets of
    classes, all but ``entailment`` count as one. ``declared`` pairs, a class of either task and the class of the other
    that it counts as, come before all this. A class that only the tuned task has stays, and predicting it is wrong;
    but numbers of different sets are not taken for the same classes. Where numbers are all that agrees, the note says
    so, since 1 of one file may be what 0 is in another.

    Raises ``HoldfastError`` for tasks that are not of a kind, for pairs that name no class of each task, for classes of
    the target that the model could never predict, and where all of them would be one.
    """
    _check_kinds(tuned, target)
    if target.kind != "classification":
        if declared:
            raise HoldfastError(
                f"--ood {target.name}: it asks for {PREDICTED[target.kind]}, and only classes of rows can be mapped; "
                f"leave the names out"
            )
        if aligned(tuned, target).label_names != tuned.label_names:
            raise HoldfastError(
                f"--ood {target.name}: it has {listed(target.label_names)} to choose from and {tuned.name} "
                f"{listed(tuned.label_names)}, so a model tuned on {tuned.name} cannot be scored there; leave it out"
            )
        return None
    links = _declared(tuned, target, declared) if declared else _known(tuned, target)
    groups = _groups(len(tuned.label_names), len(target.label_names), links)
    alone = [target.label_names[j] for members, others in groups if not members for j in others]
    if not declared and all(map(is_number, target.label_names)) and len(tuned.label_names) > len(target.label_names):
        # 0 and 1 of two classes are hardly those of a scale from 0 to 4.
        alone = list(target.label_names)
    if alone:
        raise _no_counterpart(tuned, target, alone)
    if sum(bool(others) for _, others in groups) < 2:
        raise HoldfastError(
            f"--ood {target.name}: {listed(target.label_names)} would all count as one class, "
            f"and there would be nothing to tell apart; leave at least two"
        )
    mapped = _label_map(tuned.label_names, target.label_names, groups)
    if not declared and all(map(_SAYS_NOTHING.fullmatch, target.label_names)):
        note = (
            f"classes {listed(target.label_names)} are taken for those of {tuned.name} by number alone: "
            f"check that they mean the same"
        )
        mapped = replace(mapped, note="; ".join(filter(None, [note, mapped.note])))
    return mapped


def aligned(tuned: Task, target: Task) -> Task:
    """Return ``target`` with the classes of its words numbered as those of ``tuned``, where that has all of them.

    Files number classes by the names that occur in them, so the same classes come in other orders.
    """
    split = target.splits[target.scored_split]
    if target.kind != "tokens" or not set(target.label_names) <= set(tuned.label_names):
        return target
    index = [tuned.label_names.index(name) for name in target.label_names]
    tags = [[index[tag] for tag in row] for row in split.tags]
    splits = {**target.splits, target.scored_split: replace(split, labels=tags)}
    return replace(target, splits=splits, label_names=tuned.label_names)


def metrics_of(mapped: LabelMap | None, target: Task) -> tuple[str, ...]:
    """Return the metrics of ``target`` that still mean the same, the primary one first; else accuracy.

    F1 is that of the target's class 1, which is another one after classes of the target were merged.
    """
    if mapped is None or len(set(mapped.target)) == len(mapped.target):
        return target.metrics
    return tuple(metric for metric in target.metrics if metric != "f1") or ("accuracy",)


def _check_kinds(tuned: Task, target: Task) -> None:
    if tuned.kind != target.kind:
        raise HoldfastError(
            f"--ood {target.name}: it asks for {PREDICTED[target.kind]} and {tuned.name} for {PREDICTED[tuned.kind]}, "
            f"so a model tuned on {tuned.name} cannot be scored there; leave it out, or give its kind in a study file "
            f"where its labels were misread"
        )
    if _paired(tuned) != _paired(target):
        texts = {True: "pairs of texts", False: "single texts"}
        raise HoldfastError(
            f"--ood {target.name}: its rows are {texts[_paired(target)]} and those of {tuned.name} are "
            f"{texts[_paired(tuned)]}, so a model tuned on {tuned.name} cannot be scored there; leave it out"
        )


def _paired(task: Task) -> bool:
    return any(split.pairs is not None for split in task.splits.values())


def _known(tuned: Task, target: Task) -> list[Link]:
    ours, theirs = _meanings(tuned.label_names), _meanings(target.label_names)
    both = set(ours) & set(theirs)
    if "entailment" in both and set(ours) | set(theirs) <= _ENTAILMENT and set(ours) != set(theirs):
        whether = [[name == "entailment" for name in names] for names in (ours, theirs)]
        return [(i, j) for i, mine in enumerate(whether[0]) for j, other in enumerate(whether[1]) if mine == other]
    return list(_same_names(tuned.label_names, target.label_names))


def _declared(tuned: Task, target: Task, declared: Sequence[tuple[str, str]]) -> list[Link]:
    """Links by the pairs, and by name between classes that no pair moves elsewhere."""
    ours, theirs = tuned.label_names, target.label_names
    links, spare = [], []
    moved_ours, moved_theirs = set(), set()
    for first, second in declared:
        mine, other = _find(second, ours), _find(first, theirs)
        turned = _find(first, ours), _find(second, theirs)
        if mine is not None and other is not None:
            links.append((mine, other))
            moved_theirs.add(other)
            spare.append(turned)
        elif turned[0] is not None and turned[1] is not None:
            links.append((turned[0], turned[1]))
            moved_ours.add(turned[0])
        else:
            raise _no_such_pair(tuned, target, first, second)
    links += [(i, j) for i, j in _same_names(ours, theirs) if i not in moved_ours and j not in moved_theirs]
    # Where both tasks have both classes, a pair moves the target's, and the other's only if that is then left alone.
    linked = {i for i, _ in links}
    return links + [(i, j) for i, j in spare if i is not None and j is not None and i not in linked]


def _same_names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> Iterator[Link]:
    mine, others = _meanings(ours), _meanings(theirs)
    return ((i, others.index(name)) for i, name in enumerate(mine) if name in others)


def _find(name: str, names: tuple[str, ...]) -> int | None:
    if name in names:
        return names.index(name)
    alike = [i for i, other in enumerate(names) if _key(other) == _key(name)]
    return alike[0] if len(alike) == 1 else None


def _meanings(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, those that mean the same written the same, unless two of them would become one."""
    meanings = tuple(_MEANING.get(_key(name), _key(name)) for name in names)
    return meanings if len(set(meanings)) == len(names) else names


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", plain(name))


def _groups(tuned: int, target: int, links: list[Link]) -> list[tuple[list[int], list[int]]]:
    """Classes that are linked, directly or over others: indices of the tuned task and of the target.

    In the order of the target's classes; those of the tuned task alone come last.
    """
    group = list(range(tuned + target))
    for i, j in links:
        one, other = group[i], group[tuned + j]
        group = [one if each == other else each for each in group]
    order = dict.fromkeys([*group[tuned:], *group[:tuned]])
    return [
        ([i for i in range(tuned) if group[i] == each], [j for j in range(target) if group[tuned + j] == each])
        for each in order
    ]


def _label_map(
    ours: tuple[str, ...], theirs: tuple[str, ...], groups: Sequence[tuple[list[int], list[int]]]
) -> LabelMap:
    names, notes = [], []
    for members, others in groups:
        mine, other = [ours[i] for i in members], [theirs[j] for j in others]
        name = other[0] if len(other) == 1 else mine[0] if len(mine) == 1 else " or ".join(other)
        names.append(name)
        changed = [each for each in dict.fromkeys([*other, *mine]) if _key(each) != _key(name)]
        if changed:
            notes.append(f"{', '.join(changed)} -> {name}")
        if not other:
            notes.append(f"predicting {name} is wrong, as no row has it")
    where = {(side, i): k for k, pair in enumerate(groups) for side in (0, 1) for i in pair[side]}
    return LabelMap(
        names=tuple(names),
        tuned=tuple(where[0, i] for i in range(len(ours))),
        target=tuple(where[1, j] for j in range(len(theirs))),
        note="; ".join(notes),
    )


def _no_such_pair(tuned: Task, target: Task, first: str, second: str) -> HoldfastError:
    ours, theirs = tuned.label_names, target.label_names
    start = f"--ood {target.name}: {first}={second}: "
    for name in (first, second):
        if _find(name, ours) is None and _find(name, theirs) is None:
            return HoldfastError(
                f"{start}{name!r} is no class{nearest(name, [*ours, *theirs])}; {tuned.name} has {listed(ours)}, "
                f"and {target.name} has {listed(theirs)}"
            )
    only = tuned if _find(first, ours) is not None else target
    return HoldfastError(
        f"{start}both are classes of {only.name}; write a class of either task and the class of the other that it "
        f"counts as ({tuned.name} has {listed(ours)}, and {target.name} has {listed(theirs)})"
    )


def _no_counterpart(tuned: Task, target: Task, alone: list[str]) -> HoldfastError:
    shown = ",".join(
        f"{_quoted(name)}={_quoted(tuned.label_names[min(i, len(tuned.label_names) - 1)])}"
        for i, name in enumerate(alone[:3])
    )
    which = "" if len(alone) == len(target.label_names) else f"; nothing stands for {listed(alone)}"
    return HoldfastError(
        f"--ood {target.name}: its classes {listed(target.label_names)} are not those of {tuned.name}, "
        f"{listed(tuned.label_names)}{which}; write behind its name which class counts as which, such as ({shown})"
    )


def _quoted(name: str) -> str:
    if not re.search(r"[,()=\"']|^\s|\s$|^$", name):
        return name
    return f"'{name}'" if "'" not in name else f'"{name}"'
