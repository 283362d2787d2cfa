import pytest

from holdfast.records.diagnosis import Features, FullTuning, HeadResult, HeadTuning, PairMargin
from holdfast.study.diagnosis.reading import judge, sentences

NEUTRAL = {"rows": (1.0, 1.0), "centres": (1.0, 1.0), "rate": (1.0, 1.0), "steps": (1.0, 1.0), "heads": (1.0, 1.0)}


def head(**gains):
    """Head tuning in which each change leaves these shares of (leave-one-out distance, spread)."""

    def result(left, spread):
        return HeadResult(
            n=100,
            steps=10,
            learning_rate=1.0,
            heads=1,
            leave_one_out=0.1 * left,
            flips=0.02,
            accuracy=0.75,
            seed_spread=0.2 * spread,
            disagreement=0.04,
        )

    changed = {}
    for lever, (left, spread) in (NEUTRAL | gains).items():
        changed[lever] = result(1 / left, 1 / spread) if lever == "rows" else result(left, spread)
    return HeadTuning(given=result(1, 1), changed=changed, left_out=100)


def features(margin=1.0, shuffled=0.5, errors=None):
    pair = PairMargin(first="a", second="b", rows=100, margin=margin, shuffled=shuffled, soft_errors=errors)
    return Features(n=100, classes={"a": 50, "b": 50}, width=384, feature_norm=2.0, lower_layers=0, pairs=(pair,))


def full(start=0.7, end=0.2, expanded=0.25):
    return FullTuning(
        rows=16,
        curvature_rows=8,
        learning_rate=5e-5,
        sharpness=10.0,
        least_curvature=-1.0,
        gradient_start=3.0,
        gradient_end=2.0,
        steps=10,
        loss_start=start,
        loss_end=end,
        loss_expanded=expanded,
        distance=0.5,
        weight_norm=50.0,
        bound=None,
        bound_name=None,
        bound_notes=(),
    )


def verdicts(*parts):
    return {limit.name: limit.verdict for limit in judge(*parts)}


def test_where_nothing_helps_nothing_limits():
    found = judge(features(), head(), full())
    assert {limit.verdict for limit in found} == {"does not limit"}
    told = " ".join(sentences(found, head()))
    assert "the spread between seeds is lowered by a tenth by nothing that was tried" in told
    assert "points to none" in told


@pytest.mark.parametrize(
    ("gains", "limit"),
    [
        ({"rows": (0.5, 1.0)}, "too few examples"),
        ({"centres": (0.5, 1.0)}, "small margin"),
        ({"rate": (0.5, 1.0)}, "too high a rate"),
        ({"steps": (1.0, 0.5)}, "too few steps"),
        ({"heads": (1.0, 0.3)}, "too few steps"),
    ],
)
def test_each_change_points_to_its_limit(gains, limit):
    assert verdicts(features(), head(**gains), full()) == {
        **dict.fromkeys(verdicts(features(), head(), full()), "does not limit"),
        limit: "limits",
    }


@pytest.mark.parametrize("gains", [{"rate": (0.5, 1.5)}, {"steps": (1.5, 0.5)}])
def test_what_only_trades_one_measure_for_the_other_is_no_limit(gains):
    assert "limits" not in verdicts(features(), head(**gains), full()).values()


def test_what_helps_most_is_named():
    told = " ".join(sentences((), head(rows=(0.5, 1.0), centres=(0.4, 1.0), heads=(1.0, 0.3), steps=(1.0, 0.6))))
    assert "Leave-one-out distance is lowered most by class centres further apart, to 40 %" in told
    assert "the spread between seeds is lowered most by 10 heads, to 30 %" in told


def test_limits_are_told_in_the_order_of_what_helps():
    measured = head(rows=(0.6, 1.0), centres=(0.5, 1.0), heads=(1.0, 0.3))
    told = sentences(judge(features(), measured, full(0.7, 0.2, 0.65)), measured)[-1]
    assert told.endswith("too few steps, small margin, too few examples, long distance.")


def test_where_no_class_changes_there_is_no_limit():
    measured = head(rows=(0.5, 1.0), centres=(0.4, 1.0), heads=(1.0, 0.3))
    calm = measured.given.model_copy(update={"flips": 0.009, "disagreement": 0.0})
    measured = measured.model_copy(update={"given": calm})
    limits = judge(features(), measured, full())
    assert {limit.verdict for limit in limits} == {"does not limit"}
    assert "count as no limit here" in " ".join(sentences(limits, measured))


def test_a_margin_that_shuffled_labels_have_too_is_small():
    limit = judge(features(margin=0.5, shuffled=0.5), head(), full())[1]
    assert limit.verdict == "limits"
    assert "384 features" in limit.evidence[1]
    assert verdicts(features(margin=0.5, shuffled=None), head(), full())["small margin"] == "does not limit"


def test_classes_that_overlap_have_a_small_margin():
    limit = judge(features(margin=None, errors=0.12), head(), full())[1]
    assert limit.verdict == "limits"
    assert "12 %" in limit.evidence[0]


@pytest.mark.parametrize(
    ("tuned", "verdict"),
    [
        (full(0.7, 0.2, 0.22), "does not limit"),
        (full(0.7, 0.2, 0.65), "limits"),
        (full(0.7, 0.2, -2.0), "limits"),
        (full(0.7, 0.6, 0.61), "cannot be judged"),
    ],
)
def test_a_distance_is_long_where_the_expansion_fails(tuned, verdict):
    assert verdicts(features(), head(), tuned)["long distance"] == verdict


def test_a_rising_loss_is_too_high_a_rate():
    assert verdicts(features(), head(), full(0.7, 0.9, 0.9))["too high a rate"] == "limits"
    assert verdicts(None, None, full(0.7, 0.9, 0.9))["too high a rate"] == "limits"


def test_what_was_not_measured_is_not_judged():
    assert set(verdicts(None, None, None).values()) == {"cannot be judged"}
    found = judge(None, None, full())
    told = sentences(found, None)
    assert told[-1] == "Not to be judged from this: too few examples, small margin, too few steps."
    small = head()
    without = HeadTuning(given=small.given, changed={k: v for k, v in small.changed.items() if k != "rows"}, left_out=9)
    limit = judge(features(), without, full())[0]
    assert (limit.verdict, "fewer than 3 rows" in limit.evidence[0]) == ("cannot be judged", True)
