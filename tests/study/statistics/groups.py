"""Groups for the tests of this folder."""

from collections.abc import Sequence

from holdfast.study.statistics.group import Group


def group(scores: Sequence[float], failed: Sequence[float] = (), first_seed: int = 0) -> Group:
    """Trained runs, then failed ones, with seeds counted up."""
    everything = (*scores, *failed)
    return Group(
        scores=tuple(float(score) for score in everything),
        failed=(False,) * len(scores) + (True,) * len(failed),
        seeds=tuple((first_seed + i,) for i in range(len(everything))),
    )
