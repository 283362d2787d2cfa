"""The benchmark's command, from options to a table and a file."""

import json
from dataclasses import replace

import pytest

import cost
from holdfast.methods import catalogue, parse
from measuring import lineup
from peers import PEERS

QUICK = [
    *("--batch", "2", "--tokens", "8", "--total-steps", "20", "--rounds", "6", "--steps", "1"),
    *("--short-steps", "2", "--threads", "1", "--device", "cpu"),
]
SMALL = ["--model", "bert-base-random", "--layers", "1", "--width", "64"]


@pytest.mark.slow
def test_every_method_is_a_row_of_the_file_and_of_the_table(tmp_path, capsys):
    file = tmp_path / "cost.json"
    assert cost.main(["--methods", "vanilla,dps(variant=mix)", *SMALL, *QUICK, "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    assert [row["method"] for row in rows] == ["vanilla", "dps(variant=mix)"]
    for row in rows:
        assert list(row) == [
            "method",
            "time_ratio",
            "time_ratio_low",
            "time_ratio_high",
            "flops_ratio",
            "floor",
            "memory_ratio",
            "state_bytes_per_weight",
        ]
        assert row["time_ratio_low"] <= row["time_ratio"] <= row["time_ratio_high"]
    assert (rows[0]["flops_ratio"], rows[0]["memory_ratio"]) == pytest.approx((1.0, 1.0), rel=0.01)
    assert rows[1]["memory_ratio"] > 1.01
    assert [row["floor"] for row in rows] == [1.0, 1.0]
    assert list(tmp_path.iterdir()) == [file]
    told = " ".join(capsys.readouterr().out.split())
    for said in ("vanilla (again)", "2 rows of 8 tokens, fp32, on", "1 threads", "6 rounds of 1 steps, all methods"):
        assert said in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--methods", "dpss", *SMALL], "did you mean 'dps'"),
        (["--methods", "dps", "--rounds", "5"], "--rounds 5: a 95 % interval takes at least 6"),
        (["--methods", "dps", "--rounds", "400"], "do not fit into a training of 690 steps"),
        (["--methods", "dps", "--model", "minilm", "--layers", "2"], "resize bert-base-random"),
        (["--methods", "dps", "--model", "bert-large-random", "--width", "100"], "--width 100"),
        (["--methods", "dps", *SMALL, "--tokens", "1000"], "use --tokens 512"),
        (["--methods", "dps", *SMALL, "--json", "nowhere/cost.json"], "there is no folder nowhere"),
        (["--methods", "top_k_layers(k=3)", *SMALL], "has 1 blocks"),
        (["--methods", "dps", "--short-steps", "1"], "take at least 2"),
        (["--methods", "surt", *SMALL], "surt trains on text first, which takes the model's tokenizer"),
        (["--methods", "dps", *SMALL, "--peers", "smart_pytorch"], "did you mean 'smart-pytorch'"),
        (["--methods", "all", *SMALL, "--rounds", "700"], "--rounds 700 x --steps 1 do not fit"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_measured(options, told, capsys):
    assert cost.main(options) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_of_all_methods_and_peers_those_that_cannot_run_are_told_below_the_table(monkeypatch, tmp_path, capsys):
    few = ["vanilla", "top_k_layers", "surt", "wise_ft"]
    monkeypatch.setattr(lineup, "catalogue", lambda: dict.fromkeys(few))
    absent = replace(PEERS["smart-pytorch"], package="not_there")
    monkeypatch.setitem(PEERS, "smart-pytorch", absent)
    file = tmp_path / "cost.json"
    assert cost.main(["--methods", "all", "--peers", "all", *SMALL, *QUICK, "--json", str(file)]) == 0
    rows = json.loads(file.read_text())
    assert [row["method"] for row in rows] == ["vanilla(dropout=0.0)", "wise_ft", "transformers-neftune (peer)"]
    assert [row["floor"] for row in rows] == [1.0, 1.0, 1.0]
    told = " ".join(capsys.readouterr().out.split())
    for said in (
        "top_k_layers is left out: top_k_layers(k=3): BertForSequenceClassification has 1 blocks",
        "surt is left out: surt trains on text first",
        "wise_ft: its choice at the end, on the validation rows, is not in the table",
        "smart-pytorch is not installed: pip install --no-deps smart-pytorch==",
    ):
        assert said in told


def test_all_is_every_method_and_the_cheap_forms():
    forms = list(lineup.everything())
    assert len(forms) == len(set(forms))
    assert {method.name for text in forms for method in parse(text)} == set(catalogue())
    for form in ("r3f(gradient=clean)", "r3f(every=4)", "r3f(rows=0.25)", "r3f(layers=2)", "smart(proximal=0.0)"):
        assert form in forms


@pytest.mark.slow
def test_methods_that_do_not_fit_together_are_measured_in_pairs(monkeypatch, capsys):
    monkeypatch.setattr(cost, "available_bytes", lambda device: 1)
    assert cost.main(["--methods", "r3f", *SMALL, *QUICK]) == 0
    assert "each method in turns with vanilla alone" in " ".join(capsys.readouterr().out.split())
