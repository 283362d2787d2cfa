from fractions import Fraction
from itertools import combinations
from math import log

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from holdfast.errors import HoldfastError
from holdfast.stability import fleiss_kappa, jensen_shannon, pairwise_disagreement

# Three runs on four rows, two classes. By hand: rows agree in 3, 1, 1, 3 of their 3 pairs, so 8 of 12 pairs do; the
# class shares are 7/12 and 5/12, so 74/144 would by chance; kappa = (8/12 - 74/144) / (1 - 74/144) = 22/70.
THREE = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]


def test_three_runs_by_hand():
    assert pairwise_disagreement(THREE) == pytest.approx(4 / 12)
    assert fleiss_kappa(THREE) == pytest.approx(22 / 70)


def test_five_classes_in_exact_fractions():
    """Fleiss (1971) in plain fractions, and the share of disagreeing pairs counted one by one."""
    labels = np.random.default_rng(0).integers(0, 5, (6, 40))
    labels[3:] = labels[0]
    rows = labels.T.tolist()
    agree = [Fraction(sum(a == b for a, b in combinations(row, 2)), 15) for row in rows]
    observed = sum(agree) / len(rows)
    chance = sum(Fraction(sum(row.count(k) for row in rows), 240) ** 2 for k in range(5))
    assert pairwise_disagreement(labels) == pytest.approx(float(1 - observed))
    assert fleiss_kappa(labels) == pytest.approx(float((observed - chance) / (1 - chance)))


def test_chance_agreement_has_kappa_near_zero_and_opposites_are_negative():
    labels = np.random.default_rng(1).integers(0, 3, (10, 5000))
    assert fleiss_kappa(labels) == pytest.approx(0, abs=0.01)
    assert pairwise_disagreement(labels) == pytest.approx(2 / 3, abs=0.01)
    assert fleiss_kappa([[0, 1], [1, 0]]) == -1


def test_runs_that_always_predict_one_class_agree():
    assert fleiss_kappa(np.full((3, 7), 2)) == 1
    assert pairwise_disagreement(np.full((3, 7), 2)) == 0


def test_divergence_is_the_square_of_scipy_s_distance():
    given = np.random.default_rng(2).dirichlet([0.3, 0.3, 0.3, 0.3], (5, 30))
    pairs = [np.mean(jensenshannon(a, b, axis=-1) ** 2) for a, b in combinations(given, 2)]
    assert jensen_shannon(given) == pytest.approx(np.mean(pairs))


def test_divergence_of_opposites_is_log_two_and_of_equals_zero():
    certain = [[[1.0, 0.0]], [[0.0, 1.0]]]
    assert jensen_shannon(certain) == pytest.approx(log(2))
    same = np.random.default_rng(3).dirichlet([1, 1, 1], 20)
    assert jensen_shannon([same, same]) == pytest.approx(0, abs=1e-15)


def test_the_order_of_runs_rows_and_classes_does_not_matter():
    generator = np.random.default_rng(4)
    given = generator.dirichlet([0.5, 0.5, 0.5], (4, 50))
    shuffled = given[generator.permutation(4)][:, generator.permutation(50)][:, :, [2, 0, 1]]
    assert jensen_shannon(shuffled) == pytest.approx(jensen_shannon(given))
    for measure in (pairwise_disagreement, fleiss_kappa):
        assert measure(shuffled.argmax(-1)) == pytest.approx(measure(given.argmax(-1)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [([[0, 1]], "two runs"), ([0, 1], "two runs"), ([[0.2], [0.8]], "argmax"), ([[-1], [0]], "from 0")],
)
def test_what_are_not_classes_of_several_runs_is_refused(labels, said):
    for measure in (pairwise_disagreement, fleiss_kappa):
        with pytest.raises(HoldfastError, match=said):
            measure(labels)


@pytest.mark.parametrize(
    ("given", "said"),
    [([[[1.0]]], "two runs"), ([[[2.0, 1.0]]] * 2, "softmax"), ([[[np.nan, 1.0]]] * 2, "softmax")],
)
def test_what_are_not_probabilities_is_refused(given, said):
    with pytest.raises(HoldfastError, match=said):
        jensen_shannon(given)
