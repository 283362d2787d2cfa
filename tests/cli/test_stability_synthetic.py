import functools
import json

import pytest

from holdfast.cli.stopping import Stopped
from holdfast.stability import synthetic_results as module
from holdfast.stability.simulations import Simulations, sweep
from holdfast.stability.synthetic import SyntheticRanges

SMALL = SyntheticRanges(n=(8, 30), dimension=(4, 10), steps=(10, 40), heads=(1, 10), seeds=2)
SWEEPS = ("quadratics", "rows", "centre_distance", "steps_clear", "steps_noisy", "heads_sum", "heads_mean")
SIMULATED = Simulations(
    seed=0,
    quadratic_bounds=(5.0, 2.5),
    quadratic_share=0.5,
    **dict.fromkeys(SWEEPS, sweep([10, 20], [[0.2, 0.1], [0.21, 0.1]])),
)


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Small sets and no simulations; the user is in ``tmp_path``."""
    monkeypatch.setattr(module, "synthetic_study", functools.partial(module.synthetic_study, ranges=SMALL))
    monkeypatch.setattr(module, "simulate", lambda seed: SIMULATED.model_copy(update={"seed": seed}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_correlations_are_printed_and_both_files_written(quick, holdfast):
    told = holdfast("stability", "synthetic", "--sets", 20, "--seed", 4, "--out", "deep/out")
    assert (told.code, told.err) == (0, "")
    for part in ("Leave-one-out distance", "Seed spread", "others held constant", "sample size", "H heads"):
        assert part in told.out
    assert sorted(path.name for path in (quick / "deep" / "out").iterdir()) == ["synthetic.html", "synthetic.json"]
    written = json.loads((quick / "deep" / "out" / "synthetic.json").read_text())
    assert (len(written["study"]["sets"]), written["study"]["seed"], written["simulations"]["seed"]) == (20, 4, 4)
    one = next(c for c in written["study"]["correlations"] if (c["factor"], c["measure"]) == ("n", "leave_one_out"))
    assert f"[{one['low']:+.2f}, {one['high']:+.2f}]".replace("-", "−") in told.out


@pytest.mark.parametrize("sets", [0, 2, 10, -1])
def test_too_few_sets_are_told_in_one_line(quick, holdfast, sets):
    told = holdfast("stability", "synthetic", "--sets", sets)
    assert (told.code, told.out) == (2, "")
    assert told.err == f"holdfast: error: sets is {sets}: correlations need at least 19\n"
    assert not list(quick.iterdir())


@pytest.mark.parametrize("out", ["taken", "taken/below/it"])
def test_a_folder_that_is_a_file_is_told_before_anything_is_measured(quick, holdfast, monkeypatch, out):
    monkeypatch.setattr(module, "synthetic_study", None)
    (quick / "taken").write_text("mine")
    told = holdfast("stability", "synthetic", "--out", out)
    assert (told.code, told.out) == (2, "")
    assert told.err == f"holdfast: error: --out {out}: taken is a file; give a folder\n"
    assert (quick / "taken").read_text() == "mine"


@pytest.mark.parametrize("words", [("--sets", "many"), ("--sets", "2.5"), ("--seed", "-1"), ("--set", "50")])
def test_mistyped_options_are_told_in_one_line(quick, holdfast, words):
    told = holdfast("stability", "synthetic", *words)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert words[0] in told.err
    assert "`holdfast stability synthetic --help`" in told.err


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Stopped, 143)])
def test_interrupted_it_leaves_what_was_there(quick, holdfast, monkeypatch, stop, code):
    def interrupted(*arguments, **options):
        raise stop

    out = quick / "holdfast-stability"
    out.mkdir()
    (out / "synthetic.json").write_text("older")
    monkeypatch.setattr(module, "simulate", interrupted)
    told = holdfast("stability", "synthetic", "--sets", 19)
    assert (told.code, told.out, told.err) == (code, "", "holdfast: stopped\n")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("synthetic.json", "older")]
