"""``holdfast.compare`` does what the command does, and tells what went wrong by its own arguments."""

import json
import logging

import pytest

import holdfast as h
from holdfast import R3F, HoldfastError
from study.studies import begun, script


@pytest.mark.slow
def test_it_leaves_what_the_command_leaves(fakes, tickets, tmp_path, holdfast):
    arguments = ["--methods", "vanilla,r3f(weight=0.5)", "--seeds", "2", "--epochs", "1.5", "--text", "text"]
    assert holdfast("compare", tickets, *arguments, "--probe", tickets, "--probe-rows", 9, "--out", "told").code == 0
    study = h.compare(
        tickets,
        ["vanilla", R3F(weight=0.5)],
        seeds=2,
        epochs=1.5,
        text="text",
        probe=[str(tickets)],
        probe_rows=9,
        out="called",
    )
    assert (tmp_path / "called" / "study.yaml").read_text() == (tmp_path / "told" / "study.yaml").read_text()
    runs = [sorted(path.name for path in (tmp_path / out / "runs").iterdir()) for out in ("told", "called")]
    assert runs[0] == runs[1]
    assert str(study.folder) == "called"
    written = json.loads((study.folder / "summary.json").read_text())
    assert study.summary.model_dump(mode="json") == written
    assert json.loads((study.best / "config.json").read_text())["of"][0] == "tickets"
    assert "| `r3f(weight=0.5)` | 2 |" in study.report()


@pytest.mark.slow
def test_the_same_call_goes_on_and_adds_seeds(fakes, tickets, tmp_path):
    h.compare(str(tickets), "vanilla,r3f", seeds=[0, 1], out=tmp_path / "out")
    study = h.compare(str(tickets), "vanilla,r3f", seeds=[0, 1, 7], out=tmp_path / "out")
    assert [line.split()[-1] for line in begun(fakes)] == ["0", "0", "1", "1", "7", "7"]
    assert [row.n for row in study.summary.results] == [3, 3]


def test_several_tasks_have_a_best_model_each(fakes, tickets, tmp_path):
    (tmp_path / "mails.csv").write_text(tickets.read_text())
    study = h.compare([tickets, h.tasks.TaskSpec(source="mails.csv", label="label")], ["vanilla"], seeds=1)
    assert [best.path for best in study.summary.best] == ["best/tickets", "best/mails"]
    with pytest.raises(HoldfastError, match=r"2 best models \(tickets: best/tickets, mails: best/mails\)"):
        study.best  # noqa: B018


def test_it_is_silent_but_for_warnings(fakes, tickets, tmp_path, caplog, capfd):
    script(fakes, **{"r3f:0": "mistake"})
    with caplog.at_level(logging.INFO, logger="holdfast"):
        study = h.compare(tickets, ["vanilla", "r3f"], seeds=1, workers=0)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", "tickets: classes: 'bad', 'good'; f1 counts 'good' as the positive one") in lines
    assert [level for level, line in lines if line.startswith("[")] == ["INFO", "WARNING"]
    assert len(study.summary.errors) == 1
    assert capfd.readouterr() == ("", "")


def test_a_study_without_a_result_is_an_error(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:0": "mistake"})
    with pytest.raises(HoldfastError, match=r"none of 1 runs finished; the first stopped with: precision fp16"):
        h.compare(tickets, ["r3f"], seeds=1, workers=0, out="out")
    script(fakes)
    assert h.compare(tickets, ["r3f"], seeds=1, workers=0, out="out", retry_failed=True).best.is_dir()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"epoch": 3}, "unknown argument 'epoch', did you mean 'epochs'?"),
        ({"epochs": 0}, "`epochs`: input should be greater than 0 (got 0)"),
        ({"methods": []}, "`methods` is empty; name at least one, or leave it out"),
        ({"seeds": [3, 3]}, "`seeds`: seed 3 is listed twice; every run needs a seed of its own"),
        ({"size": 9}, "`size` does not apply to a task that is not generated; leave it out"),
        ({"read": {"quote": "no"}}, "did you mean 'quotes'?"),
        ({"out": "tickets.csv"}, "tickets.csv is a file; `out` names a folder"),
        ({"data": []}, "`data` is empty; name at least one, or leave it out"),
        ({"data": "chain.yaml"}, "run it with `holdfast compare chain.yaml`"),
        ({"data": "study.yaml", "text": "a"}, "`text` says how to read DATA; put it into study.yaml"),
    ],
)
def test_mistakes_are_told_by_the_argument(fakes, tickets, tmp_path, given, told):
    (tmp_path / "study.yaml").write_text("tasks: tickets.csv\n")
    (tmp_path / "chain.yaml").write_text("tasks: [sst2, rte]\nsequence: chain\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(HoldfastError) as caught:
        h.compare(**{"data": tickets, **given})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
