import tracemalloc

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from holdfast.collapse.probes import logistic
from holdfast.collapse.probes.probing import linear_probe
from holdfast.collapse.probes.standardised import standard_of
from holdfast.collapse.probes.strengths import STRENGTHS, held_out
from holdfast.errors import HoldfastError

CLASSIFY = {"kind": "classification", "metrics": ["accuracy"]}
REGRESS = {"kind": "regression", "classes": 1, "metrics": ["pearson"]}


def drawn(n, width, classes, seed=0, apart=0.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(99).standard_normal((classes, width))
    features = rng.standard_normal((n, width)) + apart * centres[labels]
    return (features * np.logspace(-2, 2, width) + 3.0).astype(np.float32), labels


@pytest.mark.parametrize(("classes", "n", "width"), [(2, 150, 8), (3, 150, 8), (2, 40, 60)])
def test_the_protocol_is_that_of_a_loop_with_scikit_learn(classes, n, width):
    train, labels = drawn(n, width, classes)
    test, test_labels = drawn(200, width, classes, seed=1)
    grid = [10.0, 1.0, 0.1, 0.01, 0.001]
    probed = linear_probe(train, labels, test, test_labels, **CLASSIFY, classes=classes, seeds=3, strengths=grid)

    scaler = StandardScaler().fit(train.astype(float))
    train, test = scaler.transform(train.astype(float)), scaler.transform(test.astype(float))

    def fitted(features, labels, strength):
        theirs = LogisticRegression(C=1 / (strength * len(labels)), solver="newton-cg", tol=1e-8, max_iter=1000)
        return theirs.fit(features, labels)

    for seed in range(3):
        held = held_out(labels, 0.2, seed)
        rest = np.setdiff1d(np.arange(n), held)
        losses = [
            log_loss(labels[held], fitted(train[rest], labels[rest], one).predict_proba(train[held])) for one in grid
        ]
        best = grid[int(np.argmin(losses))]
        assert probed.strengths[seed] == best
        assert probed.scores["accuracy"][seed] == pytest.approx(
            fitted(train, labels, best).score(test, test_labels), abs=0.006
        )


def test_values_are_predicted_by_ridge_regression():
    train, test = (drawn(n, 6, 2, seed=seed)[0] for n, seed in ((60, 0), (50, 1)))
    rng = np.random.default_rng(3)
    targets, truth = (rows[:, 2] - rows[:, 5] / 30 + 1e5 + rng.standard_normal(len(rows)) for rows in (train, test))
    grid = [3.0, 1.0, 0.3, 0.1, 0.01]
    probed = linear_probe(train, targets, test, truth, **REGRESS, seeds=2, strengths=grid)
    scaler = StandardScaler().fit(train.astype(float))
    train, test = scaler.transform(train.astype(float)), scaler.transform(test.astype(float))
    for seed in range(2):
        held = held_out(np.zeros(60, dtype=int), 0.2, seed)
        rest = np.setdiff1d(np.arange(60), held)

        def error(strength, held=held, rest=rest):
            theirs = Ridge(alpha=strength * len(rest)).fit(train[rest], targets[rest])
            return ((theirs.predict(train[held]) - targets[held]) ** 2).mean()

        best = min(grid, key=error)
        assert probed.strengths[seed] == best
        predicted = Ridge(alpha=best * 60).fit(train, targets).predict(test)
        assert probed.scores["pearson"][seed] == pytest.approx(pearsonr(predicted, truth).statistic, abs=1e-5)


def test_rows_are_held_out_in_proportion():
    strata = np.repeat([0, 1, 2], [60, 30, 10])
    first, second = held_out(strata, 0.2, 0), held_out(strata, 0.2, 1)
    assert np.bincount(strata[first]).tolist() == [12, 6, 2]
    assert len(set(first.tolist())) == 20
    assert set(first) != set(second)
    np.testing.assert_array_equal(first, held_out(strata, 0.2, 0))


@pytest.mark.parametrize(
    ("strata", "count"), [([0, 1, 2], 0), ([0, 0, 1], 1), ([0, 0], 1), ([0] * 3 + [1], 1), ([0] * 9 + [1], 2)]
)
def test_every_class_keeps_a_row(strata, count):
    held = held_out(np.array(strata), 0.2, 0)
    assert len(held) == count
    assert set(np.delete(strata, held)) == set(strata)


def test_constant_features_and_units_do_not_matter():
    train, labels = drawn(90, 5, 3)
    test, test_labels = drawn(80, 5, 3, seed=1)
    plain = linear_probe(train, labels, test, test_labels, **CLASSIFY, classes=3)

    def changed(rows, constant):
        units = rows.astype(float) * np.array([1e-3, 5, -40, 1, 1e3]) + 7
        return np.column_stack([units, np.full(len(rows), constant), np.zeros(len(rows))])

    # The second constant feature varies by rounding in training and by much in the test rows.
    other = linear_probe(changed(train, 0.1), labels, changed(test, 1e6), test_labels, **CLASSIFY, classes=3)
    assert other.scores["accuracy"] == pytest.approx(plain.scores["accuracy"], abs=0.013)
    assert other.strengths == plain.strengths


def test_standardised_rows_are_scikit_learns():
    """Also of features whose mean is far above their spread."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5000, 3)) * [1, 0.1, 100] + [0, 1000, -5]
    np.testing.assert_allclose(standard_of(rows)(rows), StandardScaler().fit_transform(rows), atol=1e-5)


def test_the_grid_goes_on_where_the_weakest_penalty_is_best():
    """Of separable classes no penalty is too weak; given strengths are all there is."""
    train, labels = drawn(100, 3, 2, apart=30.0)
    probed = linear_probe(train, labels, train, labels, **CLASSIFY, classes=2)
    assert max(probed.strengths) < min(STRENGTHS)
    assert min(probed.strengths) > 0.9e-8
    assert probed.scores["accuracy"] == (1.0, 1.0, 1.0)
    given = linear_probe(train, labels, train, labels, **CLASSIFY, classes=2, strengths=[0.1, 0.01])
    assert given.strengths == (0.01, 0.01, 0.01)


def test_features_that_say_nothing_take_a_strong_penalty():
    rng = np.random.default_rng(0)
    train, labels = rng.standard_normal((100, 30)), np.arange(100) % 2
    probed = linear_probe(train, labels, rng.standard_normal((2000, 30)), np.arange(2000) % 2, **CLASSIFY, classes=2)
    assert min(probed.strengths) >= 0.1
    assert all(abs(score - 0.5) < 0.06 for score in probed.scores["accuracy"])


def test_few_rows():
    two = np.array([[0.0, 1.0], [2.0, 1.0]])
    probed = linear_probe(two, [0, 1], two + 0.1, [0, 1], **CLASSIFY, classes=2)
    # Nothing can be held out.
    assert probed.strengths == (STRENGTHS[len(STRENGTHS) // 2],) * 3
    assert probed.scores["accuracy"] == (1.0, 1.0, 1.0)
    assert linear_probe(two, [0.5, 1.5], two, [0.5, 1.5], **REGRESS).scores["pearson"] == pytest.approx((1.0, 1.0, 1.0))
    assert linear_probe(two[:1], [0.5], two, [0.5, 1.5], **REGRESS).scores["pearson"] == (None, None, None)


def test_classes_without_training_rows_are_never_predicted():
    train, labels = drawn(60, 4, 2, apart=5.0)
    test, test_labels = drawn(40, 4, 2, seed=1, apart=5.0)
    truth = np.array([0, 3])[test_labels]
    probed = linear_probe(train, np.array([1, 3])[labels], test, truth, **CLASSIFY, classes=4)
    assert probed.scores["accuracy"] == (0.5, 0.5, 0.5)
    alone = linear_probe(train, np.full(60, 2), test, np.arange(40) % 4, **CLASSIFY, classes=4)
    assert alone.scores["accuracy"] == (0.25, 0.25, 0.25)


def test_scores_are_none_where_there_are_none():
    train, labels = drawn(30, 4, 2)
    assert linear_probe(train, labels, train[:0], labels[:0], **CLASSIFY, classes=2).scores == {"accuracy": (None,) * 3}
    for broken in (np.nan, np.inf):
        other = train.copy()
        other[7, 2] = broken
        for rows in ((other, train), (train, other)):
            probed = linear_probe(rows[0], labels, rows[1], labels, **CLASSIFY, classes=2, seeds=2)
            assert probed.scores == {"accuracy": (None, None)}
            assert probed.strengths == ()


def test_mapped_features_are_read_and_left_alone(tmp_path):
    train, labels = drawn(70, 4, 3)
    np.save(tmp_path / "train.npy", train)
    mapped = np.load(tmp_path / "train.npy", mmap_mode="r")
    given = linear_probe(mapped, labels.tolist(), mapped[:20], labels[:20].tolist(), **CLASSIFY, classes=3)
    assert given == linear_probe(train, labels, train[:20], labels[:20], **CLASSIFY, classes=3)


@pytest.mark.slow
def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(logistic, "_SPARE", 0)
    train, labels = drawn(12_000, 128, 3, apart=0.1)
    linear_probe(train[:50], labels[:50], train[:50], labels[:50], **CLASSIFY, classes=3)
    tracemalloc.start()
    linear_probe(train, labels, train, labels, **CLASSIFY, classes=3, strengths=STRENGTHS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * train.nbytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, r"training features of shape \(6, 3\) with labels of shape \(2,\)"),
        ({"labels": [0, 1, 2, 0, 1, 0]}, "training label 2 in row 2 is no class; give integers from 0 to 1"),
        ({"labels": [0, 1, 0.5, 0, 1, 0]}, "training label 0.5 in row 2"),
        ({"test": np.zeros((6, 4))}, "3 features a training row but 4 a test row"),
        ({"train": np.zeros((0, 3)), "labels": []}, "no training rows"),
        ({"seeds": 0}, "seeds 0"),
        ({"holdout": 1.0}, "holdout 1.0"),
        ({"strengths": [1.0, 0.0]}, r"strengths \[1.0, 0.0\]"),
        ({"strengths": []}, "strengths"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
    ],
)
def test_mistakes_are_named(change, message):
    rows = np.random.default_rng(0).standard_normal((6, 3))
    given = {"train": rows, "labels": [0, 1] * 3, "test": rows, "test_labels": [0, 1] * 3, "classes": 2}
    with pytest.raises(HoldfastError, match=message):
        linear_probe(**(given | CLASSIFY | change))
