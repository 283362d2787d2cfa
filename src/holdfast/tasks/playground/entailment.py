"""Entailment, neutrality and contradiction between two sentences that share most of their words.

The shortcut reads words alone: a negated hypothesis is a contradiction, one whose words all stand in the
premise is entailed, and any other is neutral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.tasks.playground.grammar import Cell, Grammar, Pattern, Words, entries
from holdfast.tasks.playground.vocabulary import NEW_PEOPLE, PEOPLE

WORDS: Words = {
    "person": PEOPLE,
    "time": entries("""
        yesterday, on Monday, last week, this morning, after lunch, in the evening, before dawn, during the break,
        last summer, at noon, on Friday, around midnight
    """),
    "spot": entries("""
        in the library, at the station, near the river, behind the church, at the market, in the garden,
        on the bridge, at the hotel, in the park, outside the museum, by the lake, at the airport
    """),
    "deed": entries("""
        slept/sleep, laughed/laugh, danced/dance, sang/sing, waited/wait, cried/cry, smiled/smile, swam/swim,
        stumbled/stumble, whistled/whistle, complained/complain, apologised/apologise, fainted/faint, shouted/shout,
        yawned/yawn, sneezed/sneeze
    """),
    "treated": entries("""
        thanked/thank, called/call, helped/help, followed/follow, blamed/blame, visited/visit, praised/praise,
        warned/warn, hugged/hug, phoned/phone, rescued/rescue, scolded/scold, pushed/push, watched/watch,
        avoided/avoid, greeted/greet, interviewed/interview, teased/tease
    """),
    "chore": entries("""
        locked the door/lock the door, fed the cat/feed the cat, cleaned the stairs/clean the stairs,
        paid the bill/pay the bill, watered the plants/water the plants, closed the window/close the window,
        wrote the letter/write the letter, fixed the roof/fix the roof, washed the car/wash the car,
        sold the house/sell the house, opened the parcel/open the parcel, baked a cake/bake a cake,
        signed the contract/sign the contract, mended the fence/mend the fence, read the report/read the report,
        found the keys/find the keys, packed the bags/pack the bags, painted the wall/paint the wall
    """),
    "adjective": entries("old, tall, young, famous, friendly, nervous, rich, angry, tired, strange, kind, new"),
}

NEW_WORDS: Words = {
    "person": NEW_PEOPLE,
    "time": entries("on Tuesday, in March, at dusk, that night, two days ago, in the spring, before supper, at dawn"),
    "deed": entries("""
        coughed/cough, sighed/sigh, ran away/run away, prayed/pray, lied/lie, fell asleep/fall asleep, frowned/frown,
        resigned/resign, shivered/shiver, giggled/giggle, trembled/tremble, nodded/nod
    """),
    "treated": entries("""
        ignored/ignore, insulted/insult, married/marry, tricked/trick, defended/defend, recognised/recognise,
        accused/accuse, welcomed/welcome, invited/invite, kicked/kick, robbed/rob, mocked/mock
    """),
    "chore": entries("""
        cooked the soup/cook the soup, emptied the bins/empty the bins, tuned the piano/tune the piano,
        posted the card/post the card, answered the email/answer the email, mowed the lawn/mow the lawn,
        booked the tickets/book the tickets, chopped the wood/chop the wood, ironed the shirts/iron the shirts,
        returned the camera/return the camera, swept the yard/sweep the yard, charged the phone/charge the phone
    """),
    "goods": entries("""
        a guitar/an instrument, a lily/a flower, a screwdriver/a tool, an eagle/a bird, a potato/a vegetable,
        a tractor/a vehicle, a terrier/a dog, a dictionary/a book, a herring/a fish, a wardrobe/a piece of furniture,
        a necklace/a piece of jewellery, a coat/a piece of clothing
    """),
    "reason": entries("tired, busy, ill, lazy, proud, scared"),
}

ENTAILMENT_LABEL, NEUTRAL, CONTRADICTION = 0, 1, 2
RIGHT, WRONG = True, False

TREATED = "{time}, the {person1} {treated} the {person2} {spot}."
BOTH = "{time}, the {person1} and the {person2} {deed1} {spot}."
WHO = "{time}, the {person1} who {treated} the {person2} {deed} {spot}."
BECAUSE = "{time}, the {person1} {deed1} because the {person2} {deed2} {spot}."
THOUGHT = "{time}, the {person1} thought that the {person2} {deed} {spot}."
ASKED = "{time}, the {person1} asked the {person2} to {chore[1]}."
FORGOT = "{time}, the {person1} forgot to {chore[1]} for the {person2}."
REFUSED = "{time}, the {person1} refused to {chore[1]} for the {person2}."
REMEMBERED = "{time}, the {person1} remembered to {chore[1]} for the {person2}."
NEVER = "{time}, the {person1} never {treated} the {person2}."
NOBODY = "{time}, nobody but the {person1} {deed} {spot}."

PAIRS: Mapping[Cell, Sequence[tuple[str, str]]] = {
    (ENTAILMENT_LABEL, RIGHT): (
        (BOTH, "The {person2} {deed1}."),
        (WHO, "The {person1} {treated} the {person2}."),
        (BECAUSE, "The {person2} {deed2}."),
    ),
    (ENTAILMENT_LABEL, WRONG): (
        (REMEMBERED, "The {person1} really did {chore[1]}."),
        (FORGOT, "The {person1} did not {chore[1]}."),
        (REFUSED, "The {person1} did not {chore[1]}."),
    ),
    (NEUTRAL, RIGHT): (
        (TREATED, "The {person1} {treated} the {adjective} {person2}."),
        (BOTH, "The {person1} {deed2}."),
        (ASKED, "The {person2} really did {chore[1]}."),
    ),
    (NEUTRAL, WRONG): (
        (WHO, "The {person2} {deed}."),
        (THOUGHT, "The {person2} {deed}."),
        (ASKED, "The {person2} did not {chore[1]}."),
    ),
    (CONTRADICTION, RIGHT): (
        (TREATED, "The {person1} did not {treated[1]} the {person2}."),
        (BOTH, "The {person1} did not {deed1[1]}."),
        (REMEMBERED, "The {person1} did not {chore[1]}."),
    ),
    (CONTRADICTION, WRONG): (
        (FORGOT, "The {person1} really did {chore[1]}."),
        (NEVER, "The {person1} {treated} the {person2}."),
        (NOBODY, "The {person2} {deed} too."),
    ),
}

NEW_PAIRS: Mapping[Cell, Sequence[tuple[str, str]]] = {
    (ENTAILMENT_LABEL, RIGHT): (
        ("Both the {person1} and the {person2} {deed} {time}.", "The {person1} {deed}."),
        ("The {person1} was {treated} by the {person2} {time}.", "The {person2} {treated} the {person1}."),
        ("The {person1} that the {person2} {treated} {time} {deed}.", "The {person2} {treated} the {person1}."),
    ),
    (ENTAILMENT_LABEL, WRONG): (
        ("The {person1} sold {goods} to the {person2} {time}.", "The {person2} got {goods[1]}."),
        ("The {person1} was too {reason} to {chore[1]} {time}.", "The {person1} did not {chore[1]}."),
    ),
    (NEUTRAL, RIGHT): (
        ("The {person1} {treated1} the {person2} {time}.", "The {person2} {treated2} the {person1}."),
        ("The {person1} wanted to {chore[1]} {time}.", "The {person1} succeeded and {chore}."),
    ),
    (NEUTRAL, WRONG): (
        ("Either the {person1} or the {person2} {deed} {time}.", "The {person1} {deed}."),
        ("The {person1} {treated} the {person2} {time}.", "The {person2} {treated} the {person1}."),
        ("The {person1} wanted to {chore[1]} {time}.", "The {person1} did not {chore[1]}."),
    ),
    (CONTRADICTION, RIGHT): (
        ("Both the {person1} and the {person2} {deed} {time}.", "The {person2} did not {deed[1]}."),
        ("In the end the {person1} did {chore[1]} {time}.", "The {person1} never {chore}."),
    ),
    (CONTRADICTION, WRONG): (
        ("The {person1} {deed} before the {person2} did {time}.", "The {person2} {deed} before the {person1} did."),
        ("Neither the {person1} nor the {person2} {deed} {time}.", "The {person1} {deed}."),
        ("The {person1} was too {reason} to {chore[1]} {time}.", "The {person1} managed to {chore[1]}."),
    ),
}


def cells(new: bool) -> Mapping[Cell, Sequence[tuple[Pattern, Words]]]:
    """The pairs of each cell with their words."""
    pairs, words = (NEW_PAIRS, NEW_WORDS) if new else (PAIRS, WORDS)
    return {
        cell: [(Pattern(premise, hypothesis), words) for premise, hypothesis in several]
        for cell, several in pairs.items()
    }


ENTAILMENT = Grammar(
    name="entailment",
    description="Entailment between sentences that share most of their words",
    labels=("entailment", "neutral", "contradiction"),
    shortcut="negated hypotheses contradict, hypotheses of the premise's words are entailed, others are neutral",
    cells=cells,
    metrics=("accuracy", "macro_f1"),
    columns=("premise", "hypothesis"),
)
