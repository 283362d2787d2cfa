import json

import pytest

from study import fake_runner
from study.studies import script


def test_one_run_leaves_a_plain_model(fakes, tickets, tmp_path, holdfast):
    told = holdfast("tune", tickets, "--method", "r3f", "--seed", 3, "--out", "made/model")
    assert told.code == 0
    out = tmp_path / "made" / "model"
    assert {path.name for path in out.iterdir()} == {"config.json", "model.safetensors", "README.md", "record.json"}
    assert json.loads((out / "config.json").read_text())["of"] == ["tickets", "r3f", 3]
    record = fake_runner.RunRecord.model_validate_json((out / "record.json").read_text())
    assert f"accuracy {100 * fake_runner.score(record.spec):.1f}" in told.out
    assert (record.spec.seed, record.spec.data_seed, record.spec.method) == (3, 3, "r3f")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["model"]


def test_what_is_there_is_never_overwritten(fakes, tickets, tmp_path, holdfast):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"dear")
    told = holdfast("tune", tickets, "--out", "mine")
    assert told.code == 2
    assert "mine is there already" in told.err
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == b"dear"


def test_a_run_the_user_can_mend_is_told_and_leaves_nothing(fakes, tickets, tmp_path, holdfast):
    script(fakes, **{"r3f:0": "mistake"})
    told = holdfast("tune", tickets, "--out", "model")
    assert told.code == 2
    assert told.err.splitlines()[-1] == "holdfast: error: precision fp16 needs a GPU: use bf16 or fp32"
    assert not list(tmp_path.glob("*model*"))


def test_ctrl_c_leaves_nothing(fakes, tickets, tmp_path, holdfast):
    script(fakes, **{"r3f:0": "interrupt"})
    told = holdfast("tune", tickets, "--out", "model")
    assert told.code == 130
    assert not list(tmp_path.glob("*model*"))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["tickets.csv", "--method", "r3f,vanilla"], ["--method r3f,vanilla", "one run", "+"]),
        (["tickets.csv", "--method", ""], ["a name is missing"]),
        (["study.yaml"], ["study.yaml", "one run", "compare"]),
        (["tickets.csv", "--seed", "-1"], ["'--seed'", "greater than or equal to 0"]),
    ],
)
def test_more_than_one_run_is_refused(fakes, tickets, tmp_path, holdfast, arguments, parts):
    (tmp_path / "study.yaml").write_text("tasks: tickets.csv\n")
    told = holdfast("tune", *arguments, "--out", "model")
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in told.err
    assert not (tmp_path / "model").exists()
