import json

import pytest

import leave_one_out


@pytest.mark.slow
def test_the_loop_finds_the_same_distances(tmp_path, capsys):
    """And the at-once training is ahead of the autograd loop even where there is little to gain."""
    file = tmp_path / "found.json"
    given = ["--rows", "30", "--dimensions", "3,40", "--steps", "40", "--rounds", "2", "--json", str(file)]
    assert leave_one_out.main(given) == 0
    found = json.loads(file.read_text())
    assert [one["dimension"] for one in found] == [3, 40]
    assert all(one["largest_difference"] < 1e-10 for one in found)
    assert all(one["autograd"] > 3 for one in found)
    assert "autograd" in capsys.readouterr().out
