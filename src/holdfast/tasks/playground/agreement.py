"""Acceptability of subject-verb agreement, with a noun of its own number between subject and verb.

``The keys near the cabinet are dusty.`` is acceptable, ``The keys near the cabinet is dusty.`` is not. The
shortcut lets the verb agree with the nearest noun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.tasks.playground.grammar import Cell, Grammar, Pattern, Words, entries
from holdfast.tasks.playground.vocabulary import NEW_PEOPLE, PEOPLE

WORDS: Words = {
    "person": PEOPLE,
    "thing": entries("""
        key/keys, letter/letters, photograph/photographs, report/reports, painting/paintings, box/boxes,
        bottle/bottles, lamp/lamps, ticket/tickets, book/books, chair/chairs, clock/clocks, coat/coats, cup/cups,
        map/maps, mirror/mirrors, parcel/parcels, pillow/pillows, plate/plates, ring/rings, rug/rugs, toy/toys,
        vase/vases, violin/violins
    """),
    "place": entries("""
        cabinet/cabinets, drawer/drawers, shelf/shelves, window/windows, door/doors, table/tables, bed/beds,
        suitcase/suitcases, desk/desks, garage/garages, house/houses, office/offices, kitchen/kitchens, wall/walls,
        basket/baskets, closet/closets, tent/tents, counter/counters, staircase/staircases, cupboard/cupboards
    """),
    "adjective": entries("""
        old, small, green, heavy, strange, little, new, red, ugly, lovely, brown, odd, pretty, dark, big, grey
    """),
    "manner": entries("""
        young, tall, famous, quiet, friendly, nervous, rich, proud, shy, strict, elderly, busy, polite, lonely
    """),
    "where": entries("near, behind, beside, next to, in front of, opposite"),
    "be": entries("""
        is/are, was/were, has been/have been, seems to be/seem to be, appears to be/appear to be, is not/are not
    """),
    "state": entries("""
        dusty, missing, broken, for sale, still here, hard to see, easy to find, quite heavy, too expensive,
        made by hand, ready, in good condition, worth a look, wet, very old, badly damaged, almost new,
        covered in paint, rather ugly, well known
    """),
    "act": entries("""
        sleeps late/sleep late, smiles a lot/smile a lot, sings every morning/sing every morning,
        walks to work/walk to work, works at night/work at night, drinks coffee/drink coffee,
        lives downtown/live downtown, knows the answer/know the answer, likes music/like music,
        wants to leave/want to leave, speaks French/speak French, plays chess/play chess, runs fast/run fast,
        travels often/travel often, collects stamps/collect stamps, hates cold weather/hate cold weather,
        cooks well/cook well, complains about the noise/complain about the noise, owns a boat/own a boat,
        arrives early/arrive early
    """),
    "met": entries("""
        admired, called, followed, helped, hired, praised, thanked, visited, warned, blamed, paid, trusted, phoned,
        watched, invited, interviewed
    """),
}

NEW_WORDS: Words = {
    "person": NEW_PEOPLE,
    "thing": entries("""
        candle/candles, hammer/hammers, blanket/blankets, camera/cameras, knife/knives, guitar/guitars,
        necklace/necklaces, statue/statues, umbrella/umbrellas, helmet/helmets, spoon/spoons, bicycle/bicycles
    """),
    "place": entries("""
        bridge/bridges, fence/fences, barn/barns, tree/trees, ladder/ladders, cottage/cottages, tower/towers,
        boat/boats, carriage/carriages, roof/roofs, hedge/hedges, bench/benches
    """),
    "adjective": entries("pale, modern, narrow, blue, wooden, tiny, broad, ancient"),
    "manner": entries("silent, clumsy, wealthy, cheerful, foreign, gentle, anxious, clever, brave, lazy"),
    "be": entries("is/are, was/were, remains/remain, proves to be/prove to be"),
    "state": entries("""
        useless, invisible, rusty, unusual, out of place, cheap, under repair, fragile, dangerous, half hidden,
        popular, of little use
    """),
    "act": entries("""
        writes novels/write novels, snores loudly/snore loudly, believes in ghosts/believe in ghosts,
        dreams of the sea/dream of the sea, teaches physics/teach physics, swims at dawn/swim at dawn,
        argues with strangers/argue with strangers, laughs too much/laugh too much, fears dogs/fear dogs,
        reads in bed/read in bed, grows roses/grow roses, leaves tomorrow/leave tomorrow
    """),
    "met": entries("ignored, rescued, married, accused, greeted, insulted, forgave, welcomed, mocked, recognised"),
    "waited": entries("waited, voted, worked, prayed, cooked, spoke"),
}

# H, A and V stand for the number (0 singular, 1 plural) of the subject, of the noun nearest to the verb, and
# of the verb. Nothing else in a sentence shows the subject's number.
TEMPLATES = (
    "The {adjective} {thing[H]} {where} the {place[A]} {be[V]} {state}.",
    "The {thing[H]} from the {adjective} {place[A]} {be[V]} {state}.",
    "The {manner} {person1[H]} {where} the {person2[A]} {act[V]}.",
    "The {manner} {person1[H]} who {met} the {person2[A]} {act[V]}.",
)

NEW_TEMPLATES = (
    "Nobody doubts that the {thing[H]} under the {place[A]} {be[V]} {state}.",
    "The {manner} {person1[H]}, unlike the {person2[A]}, {act[V]}.",
    "The {person1[H]} for whom the {person2[A]} {waited} {act[V]}.",
    "The {thing[H]} which fell on the {adjective} {place[A]} {be[V]} {state}.",
    "Everyone says that the {person1[H]} whom the {person2[A]} {met} {act[V]}.",
)

# Agreement is an exclusive-or of two numbers, which a small encoder does not begin to learn from 200
# sentences. With most verbs in the plural, the subject's number alone decides most sentences.
VERB_NUMBERS = (1, 1, 1, 1, 1, 0)

UNACCEPTABLE, ACCEPTABLE = 0, 1


def cells(new: bool) -> Mapping[Cell, Sequence[tuple[Pattern, Words]]]:
    """The sentence is acceptable when V = H; the shortcut says so when V = A."""
    templates, words = (NEW_TEMPLATES, NEW_WORDS) if new else (TEMPLATES, WORDS)
    made: dict[Cell, list[tuple[Pattern, Words]]] = {}
    for label in (UNACCEPTABLE, ACCEPTABLE):
        for right in (True, False):
            made[label, right] = [
                (Pattern(_numbered(template, subject, nearest, verb)), words)
                for template in templates
                for verb in VERB_NUMBERS
                for subject in ((verb if label == ACCEPTABLE else 1 - verb),)
                for nearest in ((subject if right else 1 - subject),)
            ]
    return made


def _numbered(template: str, subject: int, nearest: int, verb: int) -> str:
    return template.replace("[H]", f"[{subject}]").replace("[A]", f"[{nearest}]").replace("[V]", f"[{verb}]")


AGREEMENT = Grammar(
    name="agreement",
    description="Does the verb agree with its subject, not with the nearest noun?",
    labels=("unacceptable", "acceptable"),
    shortcut="the verb agrees with the nearest noun",
    cells=cells,
    metrics=("accuracy", "matthews"),
    columns=("text",),
)
