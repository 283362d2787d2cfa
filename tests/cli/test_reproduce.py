"""``holdfast reproduce``: its smoke form for real, everything else with fake runs."""

import json
import os

import pytest
import yaml

from holdfast.report.sections.published import SMOKE
from holdfast.study.define.recipe import load_recipe, recipe_names
from study.studies import begun

CHEAP = {"r3f-glue": "rte", "dps-glue": "stsb", "dps-ood": "snli", "stability-glue": "wsc"}


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_the_smoke_form_runs_every_method_offline(name, tmp_path, monkeypatch, holdfast):
    """With no data folder, and a hub that may not be asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    recipe = load_recipe(name)
    task = CHEAP.get(name, next(iter(recipe.tasks)))
    told = holdfast("reproduce", name, "--smoke", "--task", task, "--out", "out")
    assert told.code == 0, told.err
    assert SMOKE in " ".join(told.err.split())
    summary = json.loads((tmp_path / "out" / task / "summary.json").read_text())
    asked = recipe.study_of(task)
    assert len(summary["results"]) == len(asked.methods)
    assert {(row["n"], row["missing"]) for row in summary["results"]} == {(2, 0)}
    assert {row["target"] for row in summary["transfer"]} >= {ood.task.source for ood in asked.ood}
    found = summary["reproduction"]
    assert found["smoke"] is True
    assert {row["difference"] for row in found["rows"]} <= {None}
    assert all(row["measured"] is not None for row in found["rows"])
    for file in (f"{task}/report.html", f"{task}/best/README.md", "beside-the-paper.md"):
        assert "a tiny random model on generated text" in (tmp_path / "out" / file).read_text()


@pytest.mark.slow
def test_copa_and_the_other_tasks_of_a_recipe_share_its_folder(tmp_path, monkeypatch, holdfast):
    monkeypatch.chdir(tmp_path)
    told = holdfast("reproduce", "stability-glue", "--smoke", "--task", "cb,copa", "--methods", "vanilla")
    assert told.code == 0, told.err
    out = tmp_path / "holdfast-runs" / "stability-glue-smoke"
    assert (out / "cb" / "summary.json").is_file()
    assert (out / "copa" / "summary.json").is_file()
    again = holdfast("reproduce", "stability-glue", "--smoke", "--task", "cb", "--methods", "vanilla")
    assert "[1/" not in again.err


@pytest.fixture
def glue(tmp_path):
    """RTE and CoLA as small files."""
    columns = {"rte": ("sentence1", "sentence2"), "cola": ("sentence",)}
    for task, names in columns.items():
        folder = tmp_path / "glue" / task
        folder.mkdir(parents=True)
        for split, rows in (("train", 20), ("validation", 200)):
            lines = [
                json.dumps({**{name: f"{split} {name} {row}" for name in names}, "label": row % 2})
                for row in range(rows)
            ]
            (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path / "glue"


def test_tasks_go_one_by_one_with_settings_of_their_own(fakes, glue, tmp_path, holdfast):
    options = ("--data-dir", glue, "--seeds", 2, "--methods", "vanilla,r3f", "--workers", 0)
    told = holdfast("reproduce", "r3f-glue", "--task", "rte,cola", *options)
    assert told.code == 0, told.err
    out = tmp_path / "holdfast-runs" / "r3f-glue"
    assert [line.split()[0] for line in begun(fakes)] == ["rte"] * 4 + ["cola"] * 4
    for task, steps, batch in (("rte", 3120, 8), ("cola", 5336, 16)):
        study = yaml.safe_load((out / task / "study.yaml").read_text())
        assert (study["settings"]["max_steps"], study["settings"]["batch_size"]) == (steps, batch)
        assert (study["model"], study["recipe"]) == ("FacebookAI/roberta-large", "r3f-glue")
    assert "not verified: settings.schedule" in told.err
    text = (out / "beside-the-paper.md").read_text()
    assert "| r3f (R3F) | rte | accuracy | best | 88.5 (10) |" in text
    assert "| r3f (R3F) | cola | matthews | median | 70.6 (10) |" in text
    assert "Changed from the recipe: seeds: 2 in place of 10." in text
    assert holdfast("reproduce", "r3f-glue", "--task", "cola,rte", *options).code == 0
    assert len(begun(fakes)) == 8


def test_the_paper_stands_beside_in_every_form_of_the_report(fakes, glue, tmp_path, holdfast):
    options = ("--data-dir", glue, "--seeds", 2, "--workers", 0, "--max-steps", 5, "--out", "out")
    told = holdfast("reproduce", "r3f-glue", "--task", "rte", *options)
    shown = holdfast("report", "out/rte")
    for text in (told.out, shown.out, (tmp_path / "out/rte/report.html").read_text()):
        assert "Beside the paper" in text
        assert "2008.03156" in text
        assert "max_steps 5 in place of 3120" in " ".join(text.split())
    assert "88.8 (10)" in (tmp_path / "out/rte/best/README.md").read_text()


def test_recipes_that_share_a_folder_are_not_put_together(fakes, glue, tmp_path, holdfast):
    options = ("--data-dir", glue, "--seeds", 1, "--workers", 0, "--out", "out")
    assert holdfast("reproduce", "r3f-glue", "--task", "rte", *options).code == 0
    told = holdfast("reproduce", "stability-glue", "--task", "cola", *options)
    assert told.code == 0, told.err
    text = (tmp_path / "out" / "beside-the-paper.md").read_text()
    assert "Recipe stability-glue" in text
    assert "88.5" not in text
    assert "all tasks beside the paper" not in told.out


def test_a_dry_run_writes_nothing(fakes, glue, tmp_path, monkeypatch, holdfast):
    from holdfast.study.run.time_estimate import Estimate

    monkeypatch.setattr(
        "holdfast.cli.plan.estimate", lambda prepared, runs: Estimate({spec.id: 60.0 for spec in runs}, 1)
    )
    told = holdfast("reproduce", "r3f-glue", "--task", "rte", "--data-dir", glue, "--dry-run")
    assert told.code == 0, told.err
    assert "30 runs: 1 tasks x 3 methods x 10 seeds" in told.out
    assert not (tmp_path / "holdfast-runs").exists()


def test_what_is_wrong_with_the_last_task_is_told_before_the_first_run(fakes, glue, tmp_path, holdfast):
    (glue / "cola" / "train.jsonl").unlink()
    told = holdfast("reproduce", "r3f-glue", "--task", "rte,cola", "--data-dir", glue, "--workers", 0)
    assert told.code == 2
    assert "cola" in told.err
    assert not (fakes / "begun").exists()


def test_every_recipe_is_listed(holdfast):
    told = holdfast("reproduce", "--list")
    assert told.code == 0
    lines = told.out.splitlines()
    for name in recipe_names():
        at = next(place for place, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert load_recipe(name).study["model"] in lines[at + 1]
        assert f"{len(load_recipe(name).unverified)} of its keys are not verified" in lines[at + 4]
    assert "none of the paper's results" in told.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("r3f-gleu", "--smoke"), "did you mean 'r3f-glue'?"),
        (("r3f-glue", "--smoke", "--task", "rtee"), "--task rtee: r3f-glue has no such task, did you mean 'rte'?"),
        (("r3f-glue", "--smoke", "--task", "rte,"), "--task 'rte,': a name is missing"),
        (("r3f-glue", "--smoke", "--data-dir", "."), "--data-dir: --smoke makes its own model and data"),
        (("r3f-glue", "--smoke", "--model", "minilm"), "--model: --smoke makes its own model and data"),
        (("r3f-glue", "--smoke", "--dry-run"), "--dry-run: --smoke writes a model and data"),
        (("r3f-glue", "--list"), "--list shows every recipe"),
        ((), "which recipe? `holdfast reproduce --list` lists them"),
        (("r3f-glue", "--smoke", "--task", "rte", "--methods", "r33f"), "r33f"),
    ],
)
def test_mistakes_are_one_line(arguments, told, tmp_path, monkeypatch, holdfast):
    monkeypatch.chdir(tmp_path)
    got = holdfast("reproduce", *arguments)
    assert got.code == 2
    assert told in got.err
    assert sum("error:" in line for line in got.err.splitlines()) == 1
    assert "Traceback" not in got.err
    assert os.listdir(tmp_path) == [] or arguments[-1] == "r33f"
