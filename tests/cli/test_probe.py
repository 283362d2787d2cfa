"""``holdfast probe``: tiny checkpoints on small files."""

import json
import shutil

import pytest
import torch

from holdfast.collapse.probes.cache import model_digest
from holdfast.records.probes import ProbeResults
from study.diagnosis.tickets import write_tickets
from tiny import classifier, save_model

SMALL = ["--max-length", "16", "--batch-size", "16", "--seeds", "2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The pre-trained model, and two tuned ones with heads of other sizes."""
    folder = tmp_path_factory.mktemp("probe")
    save_model(folder / "start")
    save_model(folder / "r3f" / "model", seed=1, labels=6)
    save_model(folder / "vanilla" / "model", seed=2, labels=3)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    write_tickets(tmp_path / "tickets.csv")
    write_tickets(tmp_path / "trips.csv", rows=90, labels=("a", "b", "c"), seed=1)
    return tmp_path


@pytest.fixture
def forwards(monkeypatch):
    """The rows of every forward pass of BERT."""
    from transformers import BertModel

    rows, real = [], BertModel.forward

    def counted(self, input_ids, *arguments, **options):
        rows.append(len(input_ids))
        return real(self, input_ids, *arguments, **options)

    monkeypatch.setattr(BertModel, "forward", counted)
    return rows


@pytest.fixture
def probe(holdfast, models):
    def run(*arguments, pretrained=None):
        checkpoints = [models / name / "model" for name in ("r3f", "vanilla")]
        start = ["--pretrained", pretrained or models / "start"]
        return holdfast("probe", *checkpoints, *start, *SMALL, *arguments)

    return run


@pytest.mark.slow
def test_checkpoints_stand_beside_the_pretrained_model(here, probe, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    done = probe("--tasks", "tickets.csv,trips.csv", "--layers", "0,-1", "--json", "found.json")
    assert done.code == 0, done.err
    found = ProbeResults.model_validate_json((here / "found.json").read_text())
    assert [model.name for model in found.models] == ["start", "r3f", "vanilla"]
    assert [(task.task, found.layers(task.task)) for task in found.tasks] == [("tickets", [0, 2]), ("trips", [0, 2])]
    assert len(found.scores) == 2 * 2 * 3
    for score in found.scores:
        start = found.of(score.task, score.layer, "start")
        expected = None if score.model == "start" else pytest.approx(score.mean - start.mean)
        assert (score.difference, len(score.scores)) == (expected, 2)
    shown = [line.split() for line in done.out.splitlines() if line.startswith(("task", "tickets ", "trips "))]
    assert shown[0] == ["task", "layer", "constant", "start", "r3f", "vanilla"]
    assert [line[:3] for line in shown[1:]] == [
        ["tickets", "0", f"{found.tasks[0].constant_score:.1f}"],
        ["tickets", "2", f"{found.tasks[0].constant_score:.1f}"],
        ["trips", "0", f"{found.tasks[1].constant_score:.1f}"],
        ["trips", "2", f"{found.tasks[1].constant_score:.1f}"],
    ]
    assert f"{found.of('trips', 2, 'r3f').mean:.1f} ±" in done.out
    assert "nothing on the luck of tuning" in " ".join(done.out.split())
    assert "validation: 12 of 60 training rows held out" in done.err


@pytest.mark.slow
def test_what_was_extracted_is_not_extracted_again(here, probe, forwards, models):
    assert probe("--tasks", "tickets.csv", "--json", "first.json").code == 0
    # A row of each model is run once, but for those that find out what its head reads.
    assert sum(forwards) == pytest.approx(3 * 60, abs=3 * 2)
    forwards.clear()
    assert probe("--tasks", "tickets.csv", "--json", "again.json").code == 0
    assert forwards == []
    assert (here / "again.json").read_text() == (here / "first.json").read_text()
    assert probe("--tasks", "tickets.csv", "--seeds", "1").code == 0
    assert forwards == []
    assert probe("--tasks", "tickets.csv", "--pooling", "mean").code == 0
    assert forwards


@pytest.mark.slow
def test_an_absent_layer_alone_is_extracted(here, probe, forwards):
    assert probe("--tasks", "tickets.csv", "--layers", "2").code == 0
    forwards.clear()
    assert probe("--tasks", "tickets.csv", "--layers", "all", "--json", "all.json").code == 0
    assert forwards
    assert {score["layer"] for score in json.loads((here / "all.json").read_text())["scores"]} == {0, 1, 2}
    forwards.clear()
    assert probe("--tasks", "tickets.csv", "--layers", "1").code == 0
    assert forwards == []


@pytest.mark.slow
def test_weights_that_changed_in_place_are_probed_anew(here, holdfast, forwards, tmp_path):
    start, tuned = save_model(tmp_path / "start"), save_model(tmp_path / "tuned", seed=1)
    command = ["probe", tuned, "--pretrained", start, "--tasks", "tickets.csv", *SMALL]
    assert holdfast(*command).code == 0
    forwards.clear()
    classifier("bert", seed=2).save_pretrained(tuned)
    assert holdfast(*command).code == 0
    assert 60 <= sum(forwards) <= 62


@pytest.mark.slow
def test_a_hub_id_is_known_by_the_files_that_are_cached(here, probe, models, tmp_path, monkeypatch):
    cached = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(models / "start", cached / "snapshots" / "c0ffee")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("c0ffee")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    done = probe("--tasks", "tickets.csv", "--json", "found.json", pretrained="org/tiny")
    assert done.code == 0, done.err
    found = ProbeResults.model_validate_json((here / "found.json").read_text())
    assert (found.pretrained.name, found.pretrained.digest) == ("tiny", model_digest(models / "start"))


def test_few_rows_and_one_checkpoint(here, holdfast, models):
    done = holdfast(
        "probe",
        models / "r3f" / "model",
        "--pretrained",
        models / "start",
        "--tasks",
        "trips.csv",
        "--train-size",
        "30",
        "--scored-rows",
        "9",
        *SMALL,
        "--seeds",
        "1",
        "--json",
        "found.json",
    )
    assert done.code == 0, done.err
    found = ProbeResults.model_validate_json((here / "found.json").read_text())
    assert (found.tasks[0].train_rows, found.tasks[0].scored_rows, found.seeds) == (30, 9, 1)
    assert found.checkpoints[0].name == "model"
    assert "±" not in done.out


def test_many_columns_become_several_tables(here, probe, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    done = probe("--tasks", "tickets.csv")
    assert sum(line.startswith("task ") for line in done.out.splitlines()) == 2
    assert all(len(line) <= 60 for line in done.out.splitlines() if line.startswith(("task ", "tickets ")))


def test_a_model_that_diverged_has_no_score(here, holdfast, models, tmp_path):
    broken = tmp_path / "broken"
    save_model(broken)
    model = classifier("bert")
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.bias[0] = float("nan")
    model.save_pretrained(broken)
    done = holdfast("probe", broken, "--pretrained", models / "start", "--tasks", "tickets.csv", *SMALL)
    assert done.code == 0, done.err
    assert "no difference on tickets" in " ".join(done.out.split())


def mistake(found):
    """The one line that tells a mistake, and ends what is told."""
    told = [line for line in found.err.splitlines() if line.startswith("holdfast: error: ")]
    assert (found.code, found.out, len(told)) == (2, "", 1), found.err
    assert found.err.splitlines()[-1] == told[0]
    return told[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--tasks", "tickts.csv"], ["tickts.csv", "did you mean 'tickets.csv'"]),
        (["--tasks", "tickets.csv,"], ["--tasks 'tickets.csv,'", "a name is missing"]),
        (["--tasks", "tickets.csv,tickets.csv"], ["tickets", "twice|two are named"]),
        (["--tasks", "study.yaml"], ["study.yaml", "no tasks to probe"]),
        (["--tasks", "tickets.csv", "--layers", "7"], ["layer 7 does not exist", "the model has 3"]),
        (["--tasks", "tickets.csv", "--layers", "last"], ["--layers 'last'", "such as -1"]),
        (["--tasks", "tickets.csv", "--max-length", "900"], ["--max-length 900", "64"]),
        (["--tasks", "tickets.csv", "--max-length", "0"], ["--max-length 0", "no room"]),
        (["--tasks", "trips.csv", "--train-size", "2"], ["task trips: --train-size 2", "3 classes"]),
        (["--tasks", "tickets.csv", "--json", "no/found.json"], ["--json no/found.json", "folder that exists"]),
        (["--tasks", "empty"], ["empty", "train"]),
        ([], ["'--tasks'"]),
    ],
)
def test_mistakes_get_one_line(here, probe, arguments, parts):
    (here / "study.yaml").write_text("tasks: [rte]\n")
    (here / "empty").mkdir()
    write_tickets(here / "empty" / "validation.csv")
    line = mistake(probe(*arguments))
    assert all(any(one in line for one in part.split("|")) for part in parts), line


def test_models_that_cannot_be_probed(here, holdfast, models, tmp_path):
    run = tmp_path / "run"
    save_model(run / "model")
    save_model(tmp_path / "gpt", "gpt2")
    (tmp_path / "nothing").mkdir()
    good = models / "r3f" / "model"
    for checkpoints, parts in (
        ([good, good], ["again", "name each model once"]),
        ([models / "start"], ["--pretrained", "again"]),
        ([tmp_path / "nothing"], ["nothing", "config.json is missing", "save_pretrained"]),
        ([run], ["config.json is missing", f"did you mean {run}/model?"]),
        ([tmp_path / "absent" / "model"], ["no such folder"]),
        ([tmp_path / "gpt"], ["gpt is gpt2 of 2 layers and width 32", "is bert", "that the checkpoint was tuned from"]),
    ):
        found = holdfast("probe", *checkpoints, "--pretrained", models / "start", "--tasks", "tickets.csv", *SMALL)
        line = mistake(found)
        assert all(part in line for part in parts), line


def test_a_pooling_that_a_decoder_lacks(here, holdfast, tmp_path):
    start, tuned = save_model(tmp_path / "start", "gpt2"), save_model(tmp_path / "tuned", "gpt2", seed=1)
    command = ["probe", tuned, "--pretrained", start, "--tasks", "tickets.csv", *SMALL]
    refused = holdfast(*command, "--pooling", "cls")
    assert (refused.code, "no classification token; use auto" in refused.err) == (2, True)
    assert holdfast(*command, "--pooling", "last").code == 0
