"""Verdicts in words: those that repeat themselves are a line a group, with the sentences on demand."""

from holdfast.report.sections import verdicts
from holdfast.study.statistics.comparisons import TaskGroups, compare_with_baseline, sentences
from holdfast.study.statistics.group import Group, Scale
from report.rendered import markdown, page, terminal
from report.studies import R3F, VANILLA, row, summary, task
from report.test_markdown import parsed
from report.test_page import Page

NAMES = ("vanilla", "r3f", "r3f(sigma=0.0)", "r4f", "dps")


def task_groups(name, by_method):
    made = {
        method: Group(tuple(scores), (False,) * len(scores), tuple((seed,) for seed in range(len(scores))))
        for method, scores in by_method.items()
    }
    return TaskGroups(name, Scale(100 / 277, 52.7), made)


def study(by_task):
    """A summary with the sentences that the statistics write for these scores."""
    groups = [task_groups(name, by_method) for name, by_method in by_task.items()]
    comparisons = compare_with_baseline(groups, list(next(iter(by_task.values()))), "vanilla", 1.0, 0.05)
    found = {(one.task, one.method): one.verdict for one in comparisons}
    rows = [
        row(name, method, scores, None if method == "vanilla" else by_method["vanilla"]).model_copy(
            update={"verdict": found.get((name, method), "baseline")}
        )
        for name, by_method in by_task.items()
        for method, scores in by_method.items()
    ]
    text = sentences(groups, comparisons, [], "vanilla", 0.05)
    return summary(rows, [task(name) for name in by_task], sentences=text), comparisons


def test_undecided_comparisons_are_one_line_and_their_sentences_are_on_demand():
    spread = {"vanilla": VANILLA, **{name: [score + 0.3 for score in VANILLA] for name in NAMES[1:]}}
    result, comparisons = study({"rte": spread})
    assert {one.verdict for one in comparisons} == {"cannot be told apart"}
    (block,) = verdicts.blocks(result, [])
    assert block.notes[0].startswith(
        "Not to be told apart from vanilla with 5 seeds: r3f, r3f(sigma=0.0), r4f and dps. "
    )
    assert [note for note in block.notes if "told apart" in note] == [block.notes[0]]
    (details,) = block.details
    assert [sentence.split(" and ")[0] for sentence in details.notes] == list(NAMES[1:])
    found = Page(page(result))
    assert [tag for tag, _ in found.elements].count("details") == 1
    for sentence in details.notes:
        assert sentence in found.text
        assert sentence in parsed(markdown(result)).text
        assert sentence not in " ".join(terminal(result, 300).split())


def test_what_decides_keeps_its_own_sentence():
    better = [score + 20 for score in VANILLA]
    result, _ = study({"rte": {"vanilla": VANILLA, "r3f": better, "r4f": R3F, "dps": R3F}})
    (block,) = verdicts.blocks(result, [])
    assert any(note.startswith("r3f beats vanilla by 20.0 points") for note in block.notes)
    assert any(note.startswith("Not to be told apart from vanilla with 5 seeds: r4f and dps.") for note in block.notes)


def test_a_single_undecided_comparison_stays_as_it_is():
    result, _ = study({"rte": {"vanilla": VANILLA, "r4f": [score + 0.3 for score in VANILLA]}})
    (block,) = verdicts.blocks(result, [])
    assert list(block.notes) == result.sentences
    assert block.details == ()


def test_tasks_with_the_same_methods_share_the_line():
    near = {"vanilla": VANILLA, "r3f": [score + 0.3 for score in VANILLA], "r4f": [score - 0.3 for score in VANILLA]}
    apart = {"vanilla": VANILLA, "r3f": [score + 20 for score in VANILLA], "r4f": near["r4f"]}
    result, _ = study({"rte": near, "cola": near, "mrpc": apart})
    (block,) = verdicts.blocks(result, [])
    assert block.notes[0].startswith(
        "Not to be told apart from vanilla with 5 seeds: r3f and r4f on rte and cola; r4f on mrpc. "
    )
    assert len(block.details[0].notes) == 5


def test_nothing_is_lost():
    near = {name: [score + shift / 4 for score in VANILLA] for shift, name in enumerate(NAMES)}
    result, _ = study({f"task-{i}": near for i in range(4)})
    (block,) = verdicts.blocks(result, [])
    shown = [*block.notes, *block.details[0].notes]
    assert set(result.sentences) <= set(shown)
    assert len(block.notes) < len(result.sentences) / 3


def test_few_runs_are_told_once():
    few = dict.fromkeys(NAMES, VANILLA[:2])
    result, _ = study({"rte": few})
    (block,) = verdicts.blocks(result, [])
    assert block.notes[0] == (
        "Too few runs to be judged against vanilla: r3f, r3f(sigma=0.0), r4f and dps. Run at least 3 seeds, better 5 "
        "or more."
    )


def test_a_study_with_nothing_to_say_has_no_verdicts(normal):
    assert verdicts.blocks(normal.model_copy(update={"sentences": []}), []) == []


def test_missing_runs_are_counted_and_named_on_demand(normal):
    named = [f"r3f on rte with seed {seed} is missing: run abc has no result yet." for seed in (1, 2)]
    (block,) = verdicts.blocks(normal.model_copy(update={"sentences": [*named, "The end."]}), [])
    assert block.notes == ("2 runs are missing, and count nowhere.", "The end.")
    assert list(block.details[0].notes) == named
    (block,) = verdicts.blocks(normal.model_copy(update={"sentences": named[:1]}), [])
    assert list(block.notes) == named[:1]
