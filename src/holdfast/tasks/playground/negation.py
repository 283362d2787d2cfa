"""Sentiment of reviews in which negation turns the polarity of the opinion word, or only seems to.

``The plot is not dull at all.`` is positive and ``There is no doubt that the plot is dull.`` negative. The
shortcut takes the polarity of the opinion word for that of the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.tasks.playground.grammar import Cell, Grammar, Pattern, Words, entries

GOOD = entries("""
    brilliant, wonderful, charming, gripping, delightful, superb, moving, memorable, clever, fresh, elegant,
    impressive, beautiful, convincing, engaging, excellent, fascinating, graceful, inspiring, lovely, masterful,
    pleasant, rewarding, splendid
""")
BAD = entries("""
    dull, awful, boring, clumsy, dreadful, tedious, shallow, forgettable, silly, stale, ugly, disappointing, lifeless,
    terrible, tiresome, weak, awkward, lazy, horrible, sloppy, annoying, pointless, messy, painful
""")
WORDS: Words = {
    "opener": entries("""
        honestly, in my view, to be fair, all things considered, looking back, on the whole, if you ask me,
        even on a second viewing, whatever the reviews say, as so often, in short, by the end
    """),
    "aspect": entries("""
        acting, plot, music, ending, script, camera work, dialogue, first act, pacing, setting, humour, editing, story,
        lead role, opening scene, final scene, costume design, sound, lighting, premise
    """),
    "work": entries("""
        film, play, series, musical, documentary, comedy, thriller, drama, sequel, remake, cartoon, show
    """),
    "critic": entries("""
        my sister, our neighbour, the critic, my teacher, the host, her uncle, my boss, the man next to me, our guide,
        his wife, my old friend, the jury
    """),
    "degree": entries("rather, really, quite, truly, deeply, thoroughly"),
}

NEW_GOOD = entries("""
    great, fantastic, solid, perfect, outstanding, reliable, marvellous, satisfying, admirable, ideal, neat, generous
""")
NEW_BAD = entries("""
    bad, poor, shoddy, useless, mediocre, rotten, miserable, faulty, disgraceful, appalling, inferior, lousy
""")
NEW_WORDS: Words = {
    "aspect": entries("""
        quality, delivery, finish, design, price, warranty, size, packaging, colour, weight, build, surface, shape,
        workmanship
    """),
    "product": entries("""
        kettle, phone, washing machine, laptop, heater, caravan, printer, headset, bicycle, tablet, tent, mattress,
        watch, lawnmower, sofa, toaster
    """),
    "buyer": entries("my brother, our landlord, a colleague, the family upstairs, my aunt, their coach, the postman"),
}

# Half of these hold a negation that leaves the opinion as it is: neither words of negation nor words of
# opinion decide alone.
KEEPING = (
    "{opener}, the {aspect} of this {work} is {tone}.",
    "{opener}, {critic} found the {aspect} of the {work} {degree} {tone}.",
    "{opener}, {critic} called the {aspect} of this {work} {tone}, and rightly so.",
    "{opener}, there is no doubt that the {aspect} of the {work} is {degree} {tone}.",
    "{opener}, I have never seen a {work} whose {aspect} was so {tone}.",
    "{opener}, nobody can deny how {tone} the {aspect} of the {work} is.",
    "{opener}, {critic} was not wrong to call the {aspect} of the {work} {tone}.",
)
TURNING = (
    "{opener}, the {aspect} of this {work} is not {tone} at all.",
    "{opener}, {critic} never found the {aspect} of the {work} {tone}.",
    "{opener}, there is nothing {tone} about the {aspect} of the {work}.",
    "{opener}, nobody would call the {aspect} of this {work} {tone}.",
    "{opener}, the {aspect} of the {work} was anything but {tone}.",
    "{opener}, {critic} failed to see what was so {tone} about the {aspect} of the {work}.",
    "{opener}, {critic} was wrong to call the {aspect} of the {work} {tone}.",
)
NEW_KEEPING = (
    "I cannot stress enough how {tone} the {aspect} of our {product} was.",
    "It goes without saying that the {aspect} of this {product} is {tone}.",
    "The {aspect} that came with the {product} turned out {tone}, said {buyer}.",
    "Without exception, {buyer} reports, the {aspect} of the {product} has been {tone}.",
)
NEW_TURNING = (
    "The {aspect} of our {product} could hardly be described as {tone}.",
    "It is simply untrue that the {aspect} of this {product} is {tone}.",
    "The {aspect} of the {product} was far from {tone}, said {buyer}.",
    "Only {buyer} could have mistaken the {aspect} of the {product} for something {tone}.",
)

NEGATIVE, POSITIVE = 0, 1


def cells(new: bool) -> Mapping[Cell, Sequence[tuple[Pattern, Words]]]:
    """The shortcut is right where the opinion word keeps its polarity."""
    words = NEW_WORDS if new else WORDS
    good, bad = (NEW_GOOD, NEW_BAD) if new else (GOOD, BAD)
    keeping, turning = (NEW_KEEPING, NEW_TURNING) if new else (KEEPING, TURNING)
    made = {}
    for label in (NEGATIVE, POSITIVE):
        for right in (True, False):
            tone = good if (label == POSITIVE) == right else bad
            templates = keeping if right else turning
            made[label, right] = [(Pattern(template), {**words, "tone": tone}) for template in templates]
    return made


NEGATION = Grammar(
    name="negation",
    description="Sentiment of a review, with negation that turns it or only seems to",
    labels=("negative", "positive"),
    shortcut="the sentence has the polarity of its opinion word",
    cells=cells,
    metrics=("accuracy", "macro_f1"),
    columns=("text",),
)
