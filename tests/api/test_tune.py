"""``holdfast.tune`` leaves what the command leaves."""

import pytest
import torch

import holdfast as h
from holdfast import HoldfastError
from holdfast.records.run import RunRecord
from study.studies import script
from tiny import save_model


def test_it_leaves_what_the_command_leaves(fakes, tickets, tmp_path, holdfast):
    assert holdfast("tune", tickets, "--method", "r3f(weight=0.5)+dps", "--seed", 3, "--max-steps", 7).code == 0
    tuned = h.tune(tickets, "r3f(weight=0.5)+dps", seed=3, max_steps=7, out=tmp_path / "mine")
    assert tuned.folder == tmp_path / "mine"
    told = tmp_path / "holdfast-models" / "tickets"
    assert {file.name for file in told.iterdir()} == {file.name for file in tuned.folder.iterdir()}
    assert RunRecord.model_validate_json((told / "record.json").read_text()).spec == tuned.record.spec


@pytest.mark.slow
def test_it_is_silent_and_leaves_the_libraries_as_they_were(tickets, tmp_path, monkeypatch, capfd):
    from transformers import AutoModelForSequenceClassification, logging

    monkeypatch.chdir(tmp_path)
    model = save_model(tmp_path / "model")
    logging.enable_progress_bar()
    before = logging.get_verbosity()
    capfd.readouterr()
    tuned = h.tune(tickets, text="text", label="label", model=model, max_steps=2, max_length=16, out="mine")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (before, True)
    assert tuned.record.steps == 2
    assert AutoModelForSequenceClassification.from_pretrained(tuned.folder).config.num_labels == 2


def test_threads_are_those_of_the_run_alone(fakes, tickets, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("holdfast.study.run.tune.tune", lambda *rest: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    h.tune(tickets, threads=before + 1, out="mine")
    assert (seen, torch.get_num_threads()) == ([before + 1], before)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"method": "r3f,vanilla"}, "`method` r3f,vanilla: tune does one run"),
        ({"seed": -1}, "a seed is a number from 0"),
        ({"out": "."}, ". is there already; choose another `out` or remove it"),
        ({"delta": 2.0}, "unknown argument 'delta'"),
    ],
)
def test_mistakes_are_told_by_the_argument(fakes, tickets, tmp_path, given, told):
    with pytest.raises(HoldfastError) as caught:
        h.tune(tickets, **given)
    assert told in str(caught.value)


def test_a_failed_run_leaves_nothing(fakes, tickets, tmp_path):
    script(fakes, **{"r3f:0": "mistake"})
    with pytest.raises(HoldfastError, match="needs a GPU"):
        h.tune(tickets, out="mine")
    assert not list(tmp_path.glob("*mine*"))
