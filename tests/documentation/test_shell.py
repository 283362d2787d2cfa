"""Every shell block of the documentation: Holdfast's commands are run small, other programs' are looked up."""

import re

import pytest
import transformers

from documentation.pages import ROOT, Code, blocks, files, inline, prose
from documentation.setups import names_of
from documentation.shell import QUICK, calls, check, quick

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_commands_work(block, here, tmp_path, holdfast, untimed, monkeypatch):
    for name, text in files(block.page).items():
        (here / name).write_text(text)
    found = calls(block, tmp_path / "stubs")
    assert found, f"{block}: runs nothing"
    for program, *words in found:
        if program == "holdfast":
            done = holdfast(*quick(words))
            assert done.code == 0, f"{block}: holdfast {' '.join(words)}: {done.err}"
        else:
            check(program, words, monkeypatch)


def test_the_first_comparison_leaves_what_the_readme_tells_of(here, tmp_path, holdfast):
    """Really run, with few steps: the table of its folder names what is there, and the next commands work on it."""
    page = ROOT / "README.md"
    (words,) = [
        words
        for block in blocks("bash")
        if block.page == page
        for _, *words in calls(block, tmp_path / f"stubs-{block.line}")
        if words[:2] == ["compare", "tickets.csv"]
    ]
    done = holdfast(*words, "--seeds", 1, "--max-steps", 2, "--workers", 0)
    assert done.code == 0, done.err
    out = here / words[words.index("--out") + 1]
    rows = [said for _, said in prose(page) if re.match(r"\| `(best|runs|report|summary)", said)]
    promised = [re.match(r"\| `([^`]+)`", row)[1].removesuffix("<id>/") for row in rows]
    assert len(promised) == 4
    assert all((out / name).exists() for name in promised), promised
    assert len(list((out / "runs").iterdir())) == 3 + 2, "of the methods, and of the references"
    again = next(code.text for code in inline() if code.text.startswith("holdfast report"))
    assert holdfast(*again.split()[1:]).out == done.out
    loading = next(code.text for code in inline() if code.page == page and ".from_pretrained(" in code.text)
    assert not eval(loading, {name: getattr(transformers, name) for name in names_of(loading, "free")}).training


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("holdfast compare a.csv\nrsync a b", "rsync: command not found; a program that no rule is known for"),
        ("holdfast compare $DATA", "DATA: unbound variable"),
    ],
)
def test_what_no_shell_here_can_run_is_told(text, told, tmp_path):
    with pytest.raises(AssertionError, match=re.escape(told)):
        calls(Code(ROOT / "README.md", 7, "bash", text), tmp_path / "stubs")


@pytest.mark.parametrize(
    ("program", "words", "told"),
    [
        ("make", "tests", "the Makefile has"),
        ("pip", "install .[demos]", "the extras are"),
        ("pip", "install .[demo] numpyy", "numpyy: pyproject.toml does not name it"),
        ("python", "benchmarks/costs.py", "there is no benchmarks/costs.py"),
        ("python", "benchmarks/figures/noise.py docs/images/no-such.svg runs/x", "there is no docs/images/no-such.svg"),
        ("python", "-m no_such_module", "no such module"),
    ],
)
def test_what_is_not_there_is_told(program, words, told, monkeypatch):
    with pytest.raises(AssertionError, match=re.escape(told)):
        check(program, words.split(), monkeypatch)


def test_a_command_without_a_small_form_asks_for_one():
    with pytest.raises(pytest.fail.Exception, match="say in QUICK"):
        quick(["ponder", "tickets.csv"])


def test_the_most_telling_words_make_a_command_quick():
    assert quick(["reproduce", "r3f-glue", "--smoke"])[3:] == [*QUICK["reproduce", "--smoke"]]
    assert quick(["collapse", "chain", "--source", "a"])[4:] == [*QUICK["collapse", "chain"]]
    assert quick(["probe", "a"])[2:] == [*QUICK["probe",]]
