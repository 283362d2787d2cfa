"""Names of columns, and what is read off numbers that are known."""

import math
import statistics

import numpy as np
import pytest

from holdfast.collapse.probes.probe_reading import margin, sentences
from holdfast.errors import HoldfastError
from holdfast.records.probes import ProbedModel, ProbedOn, ProbeResults, layer_score, short_names
from holdfast.records.run import ProbeScore


@pytest.mark.parametrize(
    ("pretrained", "checkpoints", "names"),
    [
        ("minilm", ["runs/r3f/model", "runs/vanilla/model"], ["minilm", "r3f", "vanilla"]),
        ("minilm", ["a/x/best", "b/x/best", "b/y/best"], ["minilm", "a/x", "b/x", "y"]),
        ("org/base", ["me/base"], ["org/base", "me/base"]),
        ("org/base", ["tuned"], ["base", "tuned"]),
        ("minilm", ["runs/minilm"], ["minilm", "runs/minilm"]),
        ("x/y", ["y"], ["x/y", "y"]),
        # A folder of models with checkpoints inside: its name must not go to one of them.
        ("base", ["base/best", "other/best"], ["base", "base/best", "other/best"]),
    ],
)
def test_columns_are_named_by_the_shortest_ends_that_tell_models_apart(pretrained, checkpoints, names):
    assert short_names(pretrained, checkpoints) == names


def test_a_model_is_named_once_however_its_path_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(HoldfastError, match="this is a again"):
        short_names("minilm", ["a", "./a/../a/"])
    with pytest.raises(HoldfastError, match="minilm: this is --pretrained minilm again"):
        short_names("minilm", ["minilm"])
    assert short_names("minilm", ["."])[1] == tmp_path.name


def probed(*scores, layer=2):
    return ProbeScore(metric="accuracy", scores=list(scores), strengths=[1.0] * len(scores), layer=layer, seconds=0.1)


def test_scores_become_points_with_spread_and_difference():
    start = layer_score("pre", "rte", probed(0.5, 0.6), None)
    tuned = layer_score("tuned", "rte", probed(0.7, 0.8), start)
    assert (start.mean, start.difference) == (pytest.approx(55), None)
    assert (tuned.mean, tuned.difference) == (pytest.approx(75), pytest.approx(20))
    assert tuned.std == pytest.approx(statistics.stdev([70, 80]))
    diverged = layer_score("tuned", "rte", probed(None, 0.8), start)
    assert (diverged.mean, diverged.std, diverged.difference) == (None, None, None)
    assert layer_score("tuned", "rte", probed(0.7), start).std is None


def found_of(tasks, tuned, *, seeds=2):
    """``tasks``: metric, constant score and the pre-trained model's accuracy by name; ``tuned``: accuracy by name."""
    scores = []
    for task, (_, _, start) in tasks.items():
        first = layer_score("minilm", task, probed(start, start), None)
        scores += [first, layer_score("tuned", task, probed(tuned[task], tuned[task]), first)]
    return ProbeResults(
        pretrained=ProbedModel(name="minilm", source="minilm", digest="0"),
        checkpoints=[ProbedModel(name="tuned", source="runs/tuned", digest="1")],
        tasks=[
            ProbedOn(
                task=task,
                metric=metric,
                train_rows=1000,
                scored_split="validation",
                scored_rows=400,
                constant_score=constant,
                notes=[],
                warnings=[],
            )
            for task, (metric, constant, _) in tasks.items()
        ],
        pooling="auto",
        max_length=128,
        seeds=seeds,
        scores=scores,
    )


def test_the_words_say_which_side_how_far_and_what_is_not_known():
    tasks = {"rte": ("accuracy", 50.0, 0.6), "trec": ("accuracy", 20.0, 0.9), "cola": ("matthews", 0.0, 0.3)}
    told = sentences(found_of(tasks, {"rte": 0.61, "trec": 0.7, "cola": 0.3}))
    assert told[0] == (
        "tuned, layer 2: its probes score, in points, below minilm on trec (−20.0); "
        "above minilm on rte (+1.0); equal to minilm on cola."
    )
    assert told[1].endswith("on trec.")
    assert told[2] == "Mean difference from minilm over the 3 tasks, whose metrics differ: tuned −6.3."
    alike = {name: tasks[name] for name in ("rte", "trec")}
    assert "Mean difference from minilm over the 2 tasks: tuned −9.5." in sentences(
        found_of(alike, {"rte": 0.61, "trec": 0.7})
    )
    assert any("accuracy alone: cola (matthews)" in line for line in told)
    assert any("nothing on the luck of tuning" in line for line in told)
    assert any("several training seeds" in line for line in told)
    assert not any("constant" in line for line in told)


def test_nothing_is_claimed_of_what_no_probe_can_read():
    told = sentences(found_of({"rte": ("accuracy", 50.0, 0.48)}, {"rte": 0.5}, seeds=1))
    assert any("best constant prediction on rte: differences there mean nothing" in line for line in told)
    assert any("no difference in accuracy is larger" in line for line in told)
    assert any("one probe seed" in line for line in told)
    assert not any("Mean difference" in line for line in told)


def test_a_diverged_model_has_no_difference():
    told = sentences(found_of({"rte": ("accuracy", 50.0, 0.6)}, {"rte": None}))
    assert any("no difference on rte" in line for line in told)


@pytest.mark.parametrize(("first", "second", "rows"), [(0.5, 0.5, 277), (0.9, 0.85, 500), (0.99, 1.0, 60)])
def test_the_margin_holds_in_95_of_100_draws_of_independent_rows(first, second, rows):
    draw = np.random.default_rng(0)
    hits = []
    task = found_of({"rte": ("accuracy", 50.0, 0.5)}, {"rte": 0.5}).tasks[0].model_copy(update={"scored_rows": rows})
    for one, other in draw.binomial(rows, [first, second], (2000, 2)) / rows:
        pair = [layer_score("m", "rte", probed(share), None) for share in (one, other)]
        hits.append(abs(100 * (one - other - first + second)) <= margin(*pair, task))
    assert 0.93 < np.mean(hits) <= 1
    even = layer_score("m", "rte", probed(0.5), None)
    assert math.isclose(margin(even, even, task), 100 * 1.96 * math.sqrt(0.5 / (rows + 2)), rel_tol=1e-4)


def test_checkpoints_are_set_against_each_other():
    """400 rows: the 95 % margin of a difference near 70 % is 6.3 points, so 4 is within it and 10 is not."""
    found = found_of({"rte": ("accuracy", 50.0, 0.7)}, {"rte": 0.7})
    first = found.of("rte", 2, "minilm")
    for accuracy, told in ((0.74, "No two checkpoints differ"), (0.8, "other against tuned: ")):
        other = layer_score("other", "rte", probed(accuracy, accuracy), first)
        both = found.model_copy(
            update={
                "checkpoints": [*found.checkpoints, ProbedModel(name="other", source="o", digest="2")],
                "scores": [*found.scores, other],
            }
        )
        assert any(sentence.startswith(told) for sentence in sentences(both))
    assert any(sentence.endswith("explains on rte (+10.0).") for sentence in sentences(both))
    assert not any("two checkpoints" in sentence for sentence in sentences(found))
