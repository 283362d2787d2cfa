from holdfast.report.sequence.tables import probe_tables, stage_table, title_of
from report.rendered import grid, markdown
from report.sequence.sequences import chain, cycles, probe


def test_a_chain_s_source_is_followed_from_the_pre_trained_model_on():
    (table,) = probe_tables(chain())
    header, lines = grid(table.table)
    assert header == ["pre-trained", "after sst2", "after qnli", "after rte"]
    # By hand: from 89, vanilla loses 4 a stage and r4f 1; the pre-trained model is the same for both.
    assert lines == {
        "vanilla": ["80.2", "85.0 ± 1.0", "81.0 ± 1.0", "77.0 ± 1.0"],
        "r4f": ["80.2", "▲ 88.0 ± 1.0", "▲ 87.0 ± 1.0", "▲ 86.0 ± 1.0"],
        "(best constant)": ["50.9"] * 4,
    }
    assert "\n- Marks, against vanilla: ▲ better.\n" in markdown(chain())


def test_cycles_show_each_task_before_its_own_turns():
    first, second = probe_tables(cycles())
    assert first.title == "sst2, probed before its own turn in each cycle: accuracy in points"
    assert grid(first.table)[0] == grid(second.table)[0] == ["cycle 1", "cycle 2"]
    assert grid(first.table)[1]["r4f"] == ["80.2", "? 85.0 ± 1.0"]
    # Of the two probes in qnli's first cycle that of the pre-trained model is not the one before its turn.
    assert grid(second.table)[1]["vanilla"] == ["69.0 ± 1.0", "71.0 ± 1.0"]
    assert grid(second.table)[1]["(pre-trained model)"] == ["70.4", "70.4"]


def test_the_stages_own_scores_stand_in_their_order():
    header, lines = grid(stage_table(cycles()).table)
    assert [title.removesuffix(" cycle 2") for title in header] == [
        "1: sst2 accuracy cycle 1",
        "2: qnli accuracy cycle 1",
        "3: sst2 accuracy",
        "4: qnli accuracy",
    ]
    assert lines["r4f"] == ["71.0 ± 1.0", "72.0 ± 1.0", "73.0 ± 1.0", "74.0 ± 1.0"]


def test_stages_that_have_not_run_leave_dashes():
    unfinished = chain(results=[row for row in chain().results if row.stage == 1 and row.method == "vanilla"])
    table = stage_table(unfinished)
    assert grid(table.table)[1]["vanilla"] == ["71.0 ± 1.0", "–", "–"]
    lost = chain(probes=[probe(0, "", [None]), probe(1, "vanilla", [None, None, None])])
    (table,) = probe_tables(lost)
    _, lines = grid(table.table)
    assert lines["vanilla"] == ["–", "–"]
    assert lines["r4f"] == ["–", "–"]


def test_the_title_names_what_is_asked():
    assert title_of(chain()) == "What is left of sst2 along sst2 → qnli → rte?"
    assert title_of(cycles()) == "What is kept over cycles of sst2 → qnli?"
