"""What looking at results before adding seeds does to the error rate."""

POCOCK = {2: 0.0294, 3: 0.0221, 4: 0.0182}
"""Level a look at which so many declared looks keep the overall error rate at 5 %. Source: Pocock (1977)."""
INFLATED = {2: 8, 3: 11, 4: 13}
"""Simulated error rate in percent after so many looks at 5 % each: 5, 10; 5, 10, 20; 3, 5, 10, 20 seeds."""


def looks_note(looks: int, alpha: float) -> str | None:
    """A sentence when seeds were added after looking and the level does not allow for it, else None."""
    if looks <= 1 or alpha <= POCOCK.get(looks, 0.0):
        return None
    if alpha == 0.05 and looks in INFLATED:
        rate = f"about {INFLATED[looks]} % instead of 5 %"
    elif alpha == 0.05:
        rate = f"more than {max(INFLATED.values())} % instead of 5 %"
    else:
        rate = f"more than {100 * alpha:g} %"
    return f"Looked at {looks} times with differing numbers of runs; the error rate is {rate}."
