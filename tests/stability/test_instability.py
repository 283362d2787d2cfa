import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.stability import (
    RepresentationDistances,
    RunOutputs,
    fleiss_kappa,
    measure_instability,
    pairwise_representations,
)


def outputs(runs=4, rows=30, seed=0, **changes):
    generator = np.random.default_rng(seed)
    return [
        RunOutputs(
            score=70.0 + run,
            logits=3 * generator.standard_normal((rows, 3)),
            states=generator.standard_normal((2, rows, 5)),
            distance=1.0 + run,
            start_distance=0.5,
            **changes,
        )
        for run in range(runs)
    ]


def _distances(layer):
    return RepresentationDistances(layer.cka, layer.svcca, layer.procrustes)


def with_(run, **changes):
    return RunOutputs(**{**vars(run), **changes})


def test_scores_failures_and_distances_by_hand():
    first, second, third = outputs(3)
    found = measure_instability([first, with_(second, failed=True, distance=None), with_(third, score=76.0)])
    # 70, 71, 76 about 72.33.
    assert found.score_std == pytest.approx(((7 / 3) ** 2 + (4 / 3) ** 2 + (11 / 3) ** 2) ** 0.5 / 2**0.5)
    assert found.score_range == 6
    assert found.failed_share == pytest.approx(1 / 3)
    assert (found.distance, found.distance_start) == (2, 0.5)


def test_predictions_are_the_classes_of_largest_logit():
    logits = np.log([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.8, 0.2]]])
    found = measure_instability([RunOutputs(score=0.0, logits=run) for run in logits])
    assert found.predicted_runs == 2
    assert found.disagreement == 0.5
    assert found.kappa_distance == pytest.approx(1 - fleiss_kappa([[0, 1], [0, 0]]))
    # Row 1 is alike; row 2: p and q are (0.2, 0.8) mirrored, with (0.5, 0.5) between.
    by_hand = (np.log(2) + 0.2 * np.log(0.2) + 0.8 * np.log(0.8)) / 2
    assert found.js == pytest.approx(by_hand)


def test_logits_may_be_large():
    wide = [np.array([[1e4, -1e4]]), np.array([[-1e4, 1e4]])]
    assert measure_instability([RunOutputs(0.0, logits=run) for run in wide]).js == pytest.approx(np.log(2))


def test_every_layer_has_its_distances():
    runs = outputs()
    found = measure_instability(runs)
    assert [layer.layer for layer in found.layers] == [0, 1]
    for layer in found.layers:
        assert layer.runs == 4
        assert _distances(layer) == pairwise_representations([run.states[layer.layer] for run in runs])


def test_what_is_not_finite_or_does_not_vary_is_left_out_and_counted():
    runs = outputs()
    runs[0] = with_(runs[0], logits=np.full((30, 3), np.nan))
    broken = runs[1].states.copy()
    broken[1, 0, 0] = np.inf
    runs[1] = with_(runs[1], states=broken)
    runs = [with_(run, states=np.stack([np.ones((30, 5)), run.states[1]])) for run in runs]
    found = measure_instability(runs)
    assert (found.runs, found.predicted_runs) == (4, 3)
    assert [layer.runs for layer in found.layers] == [0, 3]
    assert found.layers[0].cka is None
    assert found.disagreement == measure_instability(runs[1:]).disagreement
    others = [run.states[1] for run in (runs[0], *runs[2:])]
    assert _distances(found.layers[1]) == pairwise_representations(others)


def test_what_was_not_kept_is_not_measured():
    found = measure_instability(
        [with_(run, logits=None, states=None, distance=None, start_distance=None) for run in outputs()]
    )
    assert (found.disagreement, found.js, found.kappa_distance, found.predicted_runs) == (None, None, None, 0)
    assert (found.layers, found.distance, found.distance_start) == ([], None, None)
    assert measure_instability(outputs(1)).score_std is None


def test_runs_that_do_not_match_are_refused():
    runs = outputs()
    with pytest.raises(HoldfastError, match="logits have shapes"):
        measure_instability([runs[0], with_(runs[1], logits=np.zeros((29, 3)))])
    with pytest.raises(HoldfastError, match="numbers of layers"):
        measure_instability([runs[0], with_(runs[1], states=runs[1].states[:1])])
    with pytest.raises(HoldfastError, match="no runs"):
        measure_instability([])
