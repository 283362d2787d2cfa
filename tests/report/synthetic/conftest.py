import pytest

from holdfast.stability.simulations import simulate
from holdfast.stability.synthetic import SyntheticRanges, synthetic_study
from holdfast.stability.synthetic_results import SyntheticResults


@pytest.fixture(scope="package")
def results():
    """A small run: few sets, few steps, two repetitions."""
    ranges = SyntheticRanges(n=(8, 60), dimension=(4, 20), steps=(10, 100), heads=(1, 10), seeds=4)
    study = synthetic_study(40, seed=3, ranges=ranges)
    return SyntheticResults(holdfast="1.2.3", study=study, simulations=simulate(3, repetitions=2))
