from holdfast.study.store.interim import add_analysis
from study.run_records import run_record, run_spec

NAMES = {("rte", None): "rte"}


def analysed(analyses, ended, when="later"):
    """Add an interim analysis of ``ended``: (method, seed) pairs, with a ``*`` for runs that stopped with an error."""
    records = {}
    for method, seed in ended:
        name = method.rstrip("*")
        status = {"status": "error"} if method.endswith("*") else {}
        record = run_record(method=name, seed=seed, **status)
        records[record.id] = record
    grid = [run_spec(method=method, seed=seed) for method in ("vanilla", "r3f", "r4f") for seed in range(5)]
    return add_analysis(analyses, grid, records, NAMES, when)


BOTH = [(method, seed) for method in ("vanilla", "r3f") for seed in (0, 1)]


def test_the_same_runs_seen_again_are_one_look():
    first = analysed([], BOTH, "first")
    assert analysed(first, BOTH) == first
    assert first[0].when == "first"


def test_more_seeds_are_another_look():
    analyses = analysed(analysed([], BOTH), [*BOTH, ("vanilla", 2), ("r3f", 2)])
    assert [one.runs["rte"] for one in analyses] == [{"vanilla": 2, "r3f": 2}, {"vanilla": 3, "r3f": 3}]


def test_a_new_method_on_the_same_seeds_is_no_further_look():
    analyses = analysed(analysed([], BOTH), [*BOTH, ("r4f", 0), ("r4f", 1)])
    assert [one.runs["rte"] for one in analyses] == [{"vanilla": 2, "r3f": 2, "r4f": 2}]
    assert len(analysed(analyses, [*BOTH, ("r4f", 0), ("r4f", 1), ("r4f", 2)])) == 2


def test_doing_a_stopped_run_again_is_no_further_look():
    analyses = analysed([], [*BOTH[:3], ("r3f*", 1)])
    assert len(analysed(analyses, BOTH)) == 1


def test_nothing_to_see_is_no_look():
    assert analysed([], []) == []


def test_runs_on_perturbed_data_are_no_look():
    analyses = analysed([], BOTH)
    perturbed = run_spec(seed=0, perturb={"seed": 1})
    records = {record.id: record for record in [*map(_record, BOTH), run_record(spec=perturbed)]}
    grid = [*(run_spec(method=method, seed=seed) for method, seed in BOTH), perturbed]
    assert add_analysis(analyses, grid, records, NAMES, "later") == analyses


def _record(run):
    method, seed = run
    return run_record(method=method, seed=seed)
