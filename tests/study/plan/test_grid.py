from itertools import product

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.run import SCHEMA, OtherTask, Perturbation, ProbeSettings, RunSpec, TrainingSettings
from holdfast.records.task import OodSpec, TaskSpec
from holdfast.study.define.study_file import from_options, load_study
from holdfast.study.plan.grid import build_grid, is_sequence, resolve_methods
from holdfast.study.plan.policy import stages

DATA = {TaskSpec(source=name): f"rows of {name}" for name in ("rte", "cola")}
DATA |= {OodSpec(task=task): f"scored {rows}" for task, rows in DATA.items()}


def study(**options):
    return from_options({"tasks": ["rte", "cola"], **options})


def test_all_methods_of_a_seed_come_before_the_next_seed_and_task():
    plan = resolve_methods(study(seeds=[5, 2], methods=["vanilla", "r3f"]))
    grid = build_grid(plan, DATA)
    assert [(spec.task.source, spec.seed, spec.method) for spec in grid] == list(
        product(["rte", "cola"], [5, 2], ["vanilla", "r3f"])
    )
    assert {(spec.task.source, spec.data) for spec in grid} == {("rte", "rows of rte"), ("cola", "rows of cola")}
    assert len({spec.id for spec in grid}) == 8


def test_runs_keep_their_identity_when_a_study_grows():
    small = build_grid(resolve_methods(study(seeds=2, methods=["vanilla", "r3f"])), DATA)
    large = build_grid(resolve_methods(study(seeds=4, methods=["r3f", "r4f", "vanilla"], workers=3)), DATA)
    assert {spec.id for spec in small} < {spec.id for spec in large}


def test_each_seed_is_its_own_and_goes_with_its_data_seed():
    grid = build_grid(resolve_methods(study(seeds=[1, 2], data_seeds=[9, 9], subset_seed=4)), DATA)
    assert {(spec.seed, spec.data_seed, spec.subset_seed) for spec in grid} == {(1, 9, 4), (2, 9, 4)}


def test_perturbed_data_add_runs_in_which_nothing_but_the_rows_varies():
    options = {"seeds": [5, 2, 9], "data_seeds": [7, 7, 8], "methods": ["vanilla", "r3f"]}
    plain = build_grid(resolve_methods(study(**options)), DATA)
    grid = build_grid(resolve_methods(study(**options, perturb="data")), DATA)
    assert [spec.id for spec in grid[:12]] == [spec.id for spec in plain]
    added = grid[12:]
    assert [(spec.task.source, spec.perturb.seed, spec.method) for spec in added] == list(
        product(["rte", "cola"], [5, 2, 9], ["vanilla", "r3f"])
    )
    assert {(spec.seed, spec.data_seed, spec.perturb.remove) for spec in added} == {(5, 7, 0.1)}
    assert ({spec.role for spec in plain}, {spec.role for spec in added}) == ({"compared"}, {"perturbed"})
    assert len({spec.id for spec in grid}) == 24


def test_perturbed_runs_keep_their_identity_when_a_study_grows():
    small = build_grid(resolve_methods(study(seeds=2, perturb="data")), DATA)
    large = build_grid(resolve_methods(study(seeds=4, perturb="data")), DATA)
    assert {spec.id for spec in small} < {spec.id for spec in large}


SPEC = RunSpec(model="minilm", task=TaskSpec(source="rte"), data="rows", method="r3f", seed=3, data_seed=4)


def test_the_identity_of_a_run_stays_within_a_version_of_the_schema():
    """Where this fails, SCHEMA is to be raised: folders of studies would hold runs that are not found any more."""
    assert (SCHEMA, SPEC.id) == (4, "39d8d3fca6118a6c")


CHANGES = {
    "model": "bert",
    "revision": "main",
    "task": TaskSpec(source="cola"),
    "data": "others",
    "method": "r4f",
    "train_size": 7,
    "seed": 9,
    "data_seed": 9,
    "subset_seed": 9,
    "settings": TrainingSettings(learning_rate=1e-4),
    "remote_code": True,
    "pickled_weights": True,
    "seq2seq_from_encoder": True,
    "perturb": Perturbation(seed=0),
    "after": "0123",
    "ood": (OtherTask(task=TaskSpec(source="cola"), data="scored"),),
    "probed": (OtherTask(task=TaskSpec(source="cola"), data="rows"),),
    "probe": ProbeSettings(),
    "monitor": 5,
    "reference": "tfidf",
}


def test_a_reference_that_is_set_is_part_of_the_identity_of_a_run():
    fields = SPEC.model_dump(exclude={"role", "method"})
    ids = [RunSpec(**{**fields, "method": "", "reference": name}).id for name in (None, "tfidf", "embeddings")]
    assert len(set(ids)) == 3


def test_whatever_a_run_computes_is_its_identity_and_what_it_is_for_is_not():
    changed = [SPEC.model_copy(update={name: value}).id for name, value in CHANGES.items()]
    assert len({SPEC.id, *changed}) == 1 + len(CHANGES)
    assert SPEC.model_copy(update={"role": "search"}).id == SPEC.id
    assert RunSpec.model_fields.keys() == {*CHANGES, "role"}


def test_what_a_run_is_for_follows_from_what_it_does_unless_it_is_told():
    fields = SPEC.model_dump(exclude={"role"})
    assert RunSpec(**fields).role == "compared"
    assert RunSpec(**fields | {"method": ""}).role == "reference"
    assert RunSpec(**fields | {"perturb": {"seed": 1}}).role == "perturbed"
    assert RunSpec.model_validate_json(RunSpec(**fields, role="search").model_dump_json()).role == "search"


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


def names(grid):
    return [(spec.task.source, spec.method, spec.seed) for spec in grid]


def probed(spec):
    return [target.task.source for target in spec.probed]


def test_probing_begins_with_the_pretrained_model():
    grid = build_grid(resolve_methods(study(tasks=["rte"], probed=["cola"], methods=["r3f"], seeds=[4])), DATA)
    reference, run = grid
    assert (reference.untrained, reference.role, reference.method, reference.seed) == (True, "reference", "", 0)
    assert probed(reference) == probed(run) == ["cola"]
    assert reference.probed[0].data == "rows of cola"
    assert (reference.probe, run.probe) == (ProbeSettings(), ProbeSettings())
    more = build_grid(resolve_methods(study(tasks=["rte"], probed=["cola"], methods=["r3f"], seeds=[4, 5])), DATA)
    assert {spec.id for spec in grid} < {spec.id for spec in more}


def test_every_number_of_rows_is_trained_on_with_the_same_seeds():
    grid = build_grid(resolve_methods(study(tasks=["rte"], train_size=[300, 100], seeds=2, methods=["r3f"])), DATA)
    assert [(spec.train_size, spec.seed) for spec in grid] == [(100, 0), (100, 1), (300, 0), (300, 1)]
    single = build_grid(resolve_methods(study(tasks=["rte"], train_size=100, seeds=2, methods=["r3f"])), DATA)
    assert [spec.id for spec in single] == [spec.id for spec in grid[:2]]


def test_other_tasks_change_the_identity_of_a_run():
    plain, out_of_domain, watched = (
        build_grid(resolve_methods(study(tasks=["rte"], seeds=1, methods=["r3f"], **more)), DATA)[0]
        for more in ({}, {"ood": ["cola"]}, {"monitor": 5})
    )
    assert len({plain.id, out_of_domain.id, watched.id}) == 3
    assert [(target.task.source, target.data) for target in out_of_domain.ood] == [("cola", "scored rows of cola")]


def test_a_chain_goes_on_from_stage_to_stage_and_probes_its_first_task():
    plan = resolve_methods(study(sequence="chain", methods=["vanilla", "r3f"], seeds=2))
    grid = build_grid(plan, DATA)
    assert grid[0].untrained
    assert names(grid[1:]) == [(t, m, s) for t in ("rte", "cola") for s in (0, 1) for m in ("vanilla", "r3f")]
    assert all(probed(spec) == ["rte"] for spec in grid)
    first, second = grid[1:5], grid[5:]
    assert [spec.after for spec in first] == [None] * 4
    assert [spec.after for spec in second] == [spec.id for spec in first]
    assert stages(grid[1:]) == [first, second]
    assert is_sequence(grid)


def test_cycles_probe_every_task_before_its_own_turn():
    plan = resolve_methods(study(sequence="cycles", cycles=2, methods=["r4f"], seeds=1))
    reference, *turns = build_grid(plan, DATA)
    assert probed(reference) == ["rte", "cola"]
    assert [spec.task.source for spec in turns] == ["rte", "cola", "rte", "cola"]
    assert [probed(spec) for spec in turns] == [["cola"], ["rte"], ["cola"], []]
    assert [spec.after for spec in turns] == [None, *(spec.id for spec in turns[:-1])]
    assert len({spec.id for spec in turns}) == 4


def test_what_is_left_of_a_sequence_is_done_in_its_order():
    grid = build_grid(resolve_methods(study(sequence="cycles", cycles=2, methods=["r4f"], seeds=2)), DATA)[1:]
    left = grid[3:]
    parts = stages(left)
    assert sorted(spec.id for part in parts for spec in part) == sorted(spec.id for spec in left)
    place = {spec.id: number for number, part in enumerate(parts) for spec in part}
    assert all(place[spec.after] < place[spec.id] for spec in left if spec.after in place)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sequence": "chain", "tasks": ["rte"]}, "chain tunes on several tasks in turn"),
        ({"sequence": "cycles", "train_size": [10, 20]}, "one train_size for all stages, not 2"),
        ({"sequence": "chain", "ood": ["cola"]}, "ood does not go with chain"),
        ({"sequence": "chain", "probed": ["cola"]}, "probed does not go with chain"),
        ({"train_size": [10, 10]}, "10 is listed twice"),
        ({"train_size": [0, 10]}, "0 rows are none to train on"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(options, told):
    with pytest.raises(HoldfastError, match=told):
        study(**options)


def test_nothing_is_measured_beside_runs_that_no_comparison_rests_on():
    options = {"tasks": ["rte"], "seeds": 2, "methods": ["r3f"], "perturb": "data"}
    *_, last = build_grid(resolve_methods(study(**options, probed=["cola"], ood=["cola"], monitor=5)), DATA)
    assert last == build_grid(resolve_methods(study(**options)), DATA)[-1]


def test_one_task_may_be_scored_as_it_is_and_probed_on_other_rows():
    run = build_grid(resolve_methods(study(tasks=["rte"], ood=["cola", "rte"], probed=["cola"])), DATA)[-1]
    assert [target.data for target in run.ood] == ["scored rows of cola", "scored rows of rte"]
    assert [target.data for target in run.probed] == ["rows of cola"]
