import json

import pytest

import sequential


@pytest.mark.slow
def test_few_repetitions_give_all_tables(tmp_path, capsys):
    file = tmp_path / "found.json"
    assert sequential.main(["--repetitions", "60", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    told = capsys.readouterr().out
    assert told.count("\n| --- |") == 5
    assert [row["scores"] for row in found["false_alarms"]] == list(sequential.NULLS)
    for row in found["power"]:
        # More seeds and more pairing never hurt.
        by_seeds = [row[f"pairing {pairing}"] for pairing in ("0", "0.5", "0.8")]
        assert all(shares[0] <= shares[2] for shares in by_seeds)
        assert by_seeds[0][0] <= by_seeds[2][0]
    for row in found["settling"]:
        assert row["unsettled"] == 0
        assert (row["called equal"] > 0.5) == (row["true difference"] == 0)
    for row in found["finding"]:
        assert row["halving"][0] > row["equal"][0]
