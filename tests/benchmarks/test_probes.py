import json

import probes


def test_the_grid_scores_what_scikit_learn_scores(tmp_path, capsys):
    file = tmp_path / "found.json"
    given = ["--rows", "400", "--width", "12", "--classes", "2,3", "--rounds", "1", "--json", str(file)]
    assert probes.main(given) == 0
    found = json.loads(file.read_text())
    assert [one["classes"] for one in found] == [2, 3]
    assert all(abs(one["difference"]) <= 0.2 for one in found)
    assert all(one["scikit_learn_grid"] > 1 for one in found)
    # One strength for all held-out rows, and one for each seed.
    assert all(abs(one["scikit_learn_grid_accuracy"] - one["accuracy"]) < 3 for one in found)
    assert "difference" in capsys.readouterr().out
