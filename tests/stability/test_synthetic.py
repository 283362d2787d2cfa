import pytest

from holdfast import HoldfastError
from holdfast.stability import SyntheticRanges, SyntheticStudy, synthetic_study
from holdfast.stability.synthetic import BOUNDS, FACTORS, MEASURES, synthetic_set

SMALL = SyntheticRanges(n=(8, 60), dimension=(4, 20), steps=(10, 100), heads=(1, 10), seeds=4)


@pytest.fixture(scope="module")
def study():
    return synthetic_study(60, seed=3, ranges=SMALL)


def found(study, factor, measure, held):
    (one,) = [c for c in study.correlations if (c.factor, c.measure, bool(c.held)) == (factor, measure, held)]
    return one


def test_sets_are_drawn_within_their_ranges(study):
    assert len(study.sets) == len(study.shared_bounds) == 60 <= study.drawn
    for one in study.sets:
        for name in ("n", "dimension", "centre_distance", "noise", "steps", "learning_rate_share"):
            low, high = getattr(SMALL, name)
            assert low <= getattr(one, name) <= high
        assert 0 < one.margin <= one.feature_norm
        assert 0 < one.leave_one_out <= one.leave_one_out_max <= 2


def test_what_the_paper_predicts_and_what_it_does_not(study):
    """More rows and a larger margin are more stable, and heads start closer; the bound needs constants in common."""
    assert found(study, "n", "leave_one_out", True).high < -0.5
    assert found(study, "margin", "leave_one_out", True).high < 0
    assert found(study, "heads", "seed_spread", True).high < -0.3
    assert found(study, "steps", "seed_spread", True).high < 0
    assert found(study, "shared_bound", "leave_one_out", False).low > 0.5
    own, shared = (found(study, name, "leave_one_out", False).rho for name in ("bound", "shared_bound"))
    assert own < shared


def test_bounds_hold(study):
    assert study.above_bound == 0
    assert all(shared >= one.bound for shared, one in zip(study.shared_bounds, study.sets, strict=True))
    assert study.vacuous == sum(one.bound > 2 for one in study.sets)


def test_each_factor_is_correlated_alone_and_with_the_others_held(study):
    pairs = {(c.factor, c.measure, len(c.held)) for c in study.correlations}
    assert pairs == {
        *((factor, one, held) for factor in FACTORS for one in (*MEASURES, *BOUNDS) for held in (0, len(FACTORS) - 1)),
        *((bound, measure, 0) for bound in BOUNDS for measure in MEASURES),
    }


def test_a_set_can_be_drawn_again_alone(study):
    for one in (study.sets[0], study.sets[-1]):
        assert synthetic_set(SMALL, 3, one.draw) == one
    assert synthetic_set(SMALL, 4, study.sets[0].draw) != study.sets[0]


def test_written_and_read(study):
    assert SyntheticStudy.model_validate_json(study.model_dump_json()) == study


def test_progress_counts_sets():
    seen = []
    few = synthetic_study(19, ranges=SMALL.model_copy(update={"n": (8, 12), "steps": (10, 20)}), progress=seen.append)
    assert seen == list(range(1, 20))
    assert len(few.sets) == 19


def test_refused():
    with pytest.raises(HoldfastError, match="sets is 5: correlations need at least 19"):
        synthetic_study(5)
    overlapping = SyntheticRanges(n=(60, 60), dimension=(1, 1), centre_distance=(0.01, 0.01), noise=(1.0, 1.0))
    with pytest.raises(HoldfastError, match="only 0 of 380 sets drawn are separable"):
        synthetic_study(19, ranges=overlapping)
    with pytest.raises(HoldfastError, match=r"noise is 0\.5 to 0\.1"):
        SyntheticRanges(noise=(0.5, 0.1))
    with pytest.raises(HoldfastError, match="steps is 2 to 10"):
        SyntheticRanges(steps=(2, 10))
    with pytest.raises(HoldfastError, match="heads is"):
        SyntheticRanges(heads=())
    with pytest.raises(HoldfastError, match="a spread needs 2 seeds"):
        SyntheticRanges(seeds=1)
