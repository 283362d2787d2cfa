"""Who is measured: the methods that were asked for, or the whole family."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from holdfast.errors import HoldfastError
from holdfast.methods import Plan, catalogue, describe, parse, split
from measuring.contestants import Contestant, methods_of, start
from measuring.setup import Setup
from measuring.stages import check_stages
from peers import chosen, installed
from peers.peer import Peer

ALL = "all"
_FORMS = {
    # What several methods do by default, and what it alone costs.
    "vanilla": ("vanilla(dropout=0.0)",),
    "r3f": ("r3f", "r3f(gradient=clean)", "r3f(every=4)", "r3f(rows=0.25)", "r3f(layers=2)"),
    "smart": ("smart", "smart(proximal=0.0)"),
}
"""Those that differ in cost from the defaults; plain fine-tuning is there in any case."""


@dataclass
class Lineup:
    """Who is measured, by name, and what is to be told of those who are not."""

    contestants: dict[str, Contestant] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def lineup(methods: str, peers: str | None, setup: Setup) -> Lineup:
    """Return who is measured, found to work on the model and in the training before minutes of measuring.

    Of ``all`` methods and of the peers, those that do not are left out with a note. Raises ``HoldfastError`` for
    others.
    """
    found = Lineup()
    if methods.strip() == ALL:
        for text in everything():
            _add(found, text, partial(_checked, text, setup))
    else:
        for text in split(methods):
            name = _checked(text, setup)
            found.contestants[name] = name
    here, missing = installed(chosen(peers)) if peers is not None else ([], [])
    for peer in here:
        _add(found, peer.label, partial(_tried, peer, setup))
    found.notes += missing
    for name, contestant in found.contestants.items():
        if any(method.requires.validation for method in methods_of(contestant)):
            found.notes.append(f"{name}: its choice at the end, on the validation rows, is not in the table")
    return found


def everything() -> list[str]:
    """Return every registered method with its defaults, and the forms of them that differ in cost."""
    return [form for name in catalogue() for form in _FORMS.get(name, (name,))]


def _checked(text: str, setup: Setup) -> str:
    for method in parse(text):
        method.check(setup.base)
        method.check_plan(Plan(setup.total_steps))
    check_stages(text, setup)
    return describe(parse(text))


def _tried(peer: Peer, setup: Setup) -> Peer:
    start(peer, setup, setup.total_steps).close()
    return peer


def _add(found: Lineup, name: str, check: Callable[[], Contestant]) -> None:
    try:
        contestant = check()
    except HoldfastError as error:
        found.notes.append(f"{name} is left out: {error}")
    else:
        found.contestants[contestant if isinstance(contestant, str) else name] = contestant
