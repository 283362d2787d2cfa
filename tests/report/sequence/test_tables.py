from holdfast.report.sequence.tables import notes, probe_tables, stage_table, title_of
from report.sequence.sequences import chain, cycles, probe


def texts(table):
    return {line.name: [cell.text for cell in line.cells] for line in table.lines}


def test_a_chain_s_source_is_followed_from_the_pre_trained_model_on():
    (table,) = probe_tables(chain())
    assert table.header == ("pre-trained", "after\nsst2", "after\nqnli", "after\nrte")
    # By hand: from 89, vanilla loses 4 a stage and r4f 1; the pre-trained model is the same for both.
    assert texts(table) == {
        "vanilla": ["80.2", "85.0 ± 1.0", "81.0 ± 1.0", "77.0 ± 1.0"],
        "r4f": ["80.2", "▲ 88.0 ± 1.0", "▲ 87.0 ± 1.0", "▲ 86.0 ± 1.0"],
        "(best constant)": ["50.9"] * 4,
    }
    assert notes(chain()) == ["Marks, against vanilla: ▲ better."]


def test_cycles_show_each_task_before_its_own_turns():
    first, second = probe_tables(cycles())
    assert first.title == "sst2, probed before its own turn in each cycle: accuracy in points"
    assert first.header == second.header == ("cycle 1", "cycle 2")
    assert texts(first)["r4f"] == ["80.2", "? 85.0 ± 1.0"]
    # Of the two probes in qnli's first cycle that of the pre-trained model is not the one before its turn.
    assert texts(second)["vanilla"] == ["69.0 ± 1.0", "71.0 ± 1.0"]
    assert texts(second)["(pre-trained model)"] == ["70.4", "70.4"]


def test_the_stages_own_scores_stand_in_their_order():
    table = stage_table(cycles())
    assert [heading.split("\n")[0] for heading in table.header] == ["1: sst2", "2: qnli", "3: sst2", "4: qnli"]
    assert table.header[2].endswith("cycle 2")
    assert texts(table)["r4f"] == ["71.0 ± 1.0", "72.0 ± 1.0", "73.0 ± 1.0", "74.0 ± 1.0"]


def test_stages_that_have_not_run_leave_dashes():
    unfinished = chain(results=[row for row in chain().results if row.stage == 1 and row.method == "vanilla"])
    table = stage_table(unfinished)
    assert texts(table)["vanilla"] == ["71.0 ± 1.0", "–", "–"]
    lost = chain(probes=[probe(0, "", [None]), probe(1, "vanilla", [None, None, None])])
    (table,) = probe_tables(lost)
    assert texts(table)["vanilla"] == ["–", "–"]
    assert texts(table)["r4f"] == ["–", "–"]


def test_the_title_names_what_is_asked():
    assert title_of(chain()) == "What is left of sst2 along sst2 → qnli → rte?"
    assert title_of(cycles()) == "What is kept over cycles of sst2 → qnli?"
