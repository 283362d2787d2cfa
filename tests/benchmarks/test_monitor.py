import json

import pytest

import monitor


@pytest.mark.slow
def test_shares_add_up_and_are_printed(tmp_path, capsys):
    """On a small model: a look costs, and looking five times as often costs about that more."""
    file = tmp_path / "found.json"
    small = ["--model", "bert-base-random", "--layers", "1", "--width", "64", "--batch", "4", "--rows", "8"]
    given = ["--tokens", "8", "--every", "500,100", "--steps", "4", "--measured-every", "2", "--rounds", "1"]
    assert monitor.main([*small, *given, "--json", str(file)]) == 0
    (found,) = json.loads(file.read_text())
    assert found["looks"] == 2
    looking = found["start_seconds"] + found["look_seconds"]
    rare, often = (share / (100 - share) * 500 * found["step_seconds"] for share in found["percent_of_a_run"].values())
    assert rare == pytest.approx(looking, rel=1e-6)
    assert often - rare == pytest.approx(4 * found["look_seconds"], rel=1e-6)
    assert 0 < found["measured_percent"] < 100
    assert f"{found['measured_percent']:.1f} % of the run's time" in capsys.readouterr().out
