"""Every shell block of the documentation: Holdfast's commands are run small, other programs' are looked up."""

import pytest

from documentation.pages import blocks, files
from documentation.shell import calls, check, quick


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
