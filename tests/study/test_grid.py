from itertools import product

import pytest

from holdfast.errors import HoldfastError
from holdfast.study.grid import build_grid, resolve_methods
from holdfast.study.study_file import from_options, load_study
from holdfast.tasks.spec import TaskSpec
from holdfast.training.spec import Perturbation, RunSpec


def study(**options):
    return from_options({"tasks": ["rte", "cola"], **options})


def test_all_methods_of_a_seed_come_before_the_next_seed_and_task():
    plan = resolve_methods(study(seeds=[5, 2], methods=["vanilla", "r3f"]))
    grid = build_grid(plan, ["rows of rte", "rows of cola"])
    assert [(spec.task.source, spec.seed, spec.method) for spec in grid] == list(
        product(["rte", "cola"], [5, 2], ["vanilla", "r3f"])
    )
    assert {(spec.task.source, spec.data) for spec in grid} == {("rte", "rows of rte"), ("cola", "rows of cola")}
    assert len({spec.id for spec in grid}) == 8


def test_runs_keep_their_identity_when_a_study_grows():
    small = build_grid(resolve_methods(study(seeds=2, methods=["vanilla", "r3f"])), ["a", "b"])
    large = build_grid(resolve_methods(study(seeds=4, methods=["r3f", "r4f", "vanilla"], workers=3)), ["a", "b"])
    assert {spec.id for spec in small} < {spec.id for spec in large}


def test_each_seed_is_its_own_and_goes_with_its_data_seed():
    grid = build_grid(resolve_methods(study(seeds=[1, 2], data_seeds=[9, 9], subset_seed=4)), ["a", "b"])
    assert {(spec.seed, spec.data_seed, spec.subset_seed) for spec in grid} == {(1, 9, 4), (2, 9, 4)}


def test_perturbed_data_add_runs_in_which_nothing_but_the_rows_varies():
    options = {"seeds": [5, 2, 9], "data_seeds": [7, 7, 8], "methods": ["vanilla", "r3f"]}
    plain = build_grid(resolve_methods(study(**options)), ["a", "b"])
    grid = build_grid(resolve_methods(study(**options, perturb="data")), ["a", "b"])
    assert [spec.id for spec in grid[:12]] == [spec.id for spec in plain]
    added = grid[12:]
    assert [(spec.task.source, spec.perturb.seed, spec.method) for spec in added] == list(
        product(["rte", "cola"], [5, 2, 9], ["vanilla", "r3f"])
    )
    assert {(spec.seed, spec.data_seed, spec.perturb.remove) for spec in added} == {(5, 7, 0.1)}
    assert len({spec.id for spec in grid}) == 24


def test_perturbed_runs_keep_their_identity_when_a_study_grows():
    small = build_grid(resolve_methods(study(seeds=2, perturb="data")), ["a", "b"])
    large = build_grid(resolve_methods(study(seeds=4, perturb="data")), ["a", "b"])
    assert {spec.id for spec in small} < {spec.id for spec in large}


def test_runs_on_all_rows_have_the_identity_that_they_had_before_there_were_others():
    spec = RunSpec(model="minilm", task=TaskSpec(source="rte"), data="rows", method="r3f", seed=3, data_seed=4)
    # Computed by the code of before.
    assert spec.id == "73ade3af757db4b9"
    assert spec.model_copy(update={"perturb": Perturbation(seed=0)}).id != spec.id


def test_methods_are_written_in_one_way():
    plan = resolve_methods(study(methods=["vanilla , r3f( sigma = 0 ,weight=1.0)", "r3f(weight=.5)"]))
    assert plan.methods == ["vanilla", "r3f(sigma=0.0)", "r3f(weight=0.5)"]


def test_arguments_that_yaml_took_for_list_items_are_put_together_again(tmp_path):
    (tmp_path / "study.yaml").write_text("tasks: rte\nmethods: [vanilla, r3f(sigma=0.5, weight=2.0), r4f]")
    plan = resolve_methods(load_study(tmp_path / "study.yaml"))
    assert plan.methods == ["vanilla", "r3f(weight=2.0, sigma=0.5)", "r4f"]


@pytest.mark.parametrize(
    ("options", "baseline"),
    [
        ({"methods": ["r3f", "vanilla"]}, "vanilla"),
        ({"methods": ["r3f", "r4f"]}, "r3f"),
        ({"methods": ["vanilla", "r3f(sigma=0)"], "baseline": "r3f( sigma=0.0 )"}, "r3f(sigma=0.0)"),
    ],
)
def test_the_baseline_is_vanilla_or_the_first_or_as_told(options, baseline):
    assert resolve_methods(study(**options)).baseline == baseline


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"methods": ["r3f", "r3f(weight=1)"]}, r"r3f is listed twice \(written 'r3f\(weight=1\)' too\)"),
        ({"methods": ["vanilla,vanilla"]}, "vanilla is listed twice; list each method once"),
        ({"methods": ["vanila"]}, "did you mean 'vanilla'"),
        ({"methods": ["r3f(wieght=1)"]}, "did you mean 'weight'"),
        ({"methods": ["vanilla", "r3f+r3f"]}, "named twice"),
        (
            {"methods": ["vanilla", "r3f"], "baseline": "r4f"},
            r"baseline: r4f is not among the methods",
        ),
    ],
)
def test_methods_that_cannot_be_compared_are_refused(options, told):
    with pytest.raises(HoldfastError, match=told):
        resolve_methods(study(**options))
