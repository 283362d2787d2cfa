"""The README's Python blocks pass strict type checking as they stand, without a cast."""

import os
import subprocess
import sys

import pytest

from documentation.pages import ROOT, blocks
from documentation.setups import names_of

pytestmark = pytest.mark.slow

DECLARED = {
    "torch": "import torch",
    "Trainer": "from transformers import Trainer",
    "model": "from transformers import PreTrainedModel\nmodel: PreTrainedModel",
    "args": "from transformers import TrainingArguments\nargs: TrainingArguments",
    "data": "from torch.utils.data import Dataset\ndata: Dataset[dict[str, list[int]]]",
    "loader": "from collections.abc import Iterable\nfrom torch import Tensor\nloader: Iterable[dict[str, Tensor]]",
}
"""What the script around a block would hold, by name."""


def check(folder, *texts):
    """Return what mypy says of each text, as a script of its own."""
    files = [folder / f"script_{number}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        declared = [DECLARED[name] for name in sorted(names_of(text, "free"))]
        file.write_text("\n".join([*declared, text]))
    # The project's own settings, strict, so that what `mypy` alone has checked need not be checked again.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", *map(str, files)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MYPYPATH": "src"}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode in (0, 1), done.stderr
    return [[line for line in done.stdout.splitlines() if file.name in line] for file in files]


def test_the_readme_s_blocks_have_types(tmp_path):
    pytest.importorskip("mypy")
    shown = [block for block in blocks("python") if block.page == ROOT / "README.md"]
    assert len(shown) >= 3
    wrong = """import holdfast
from holdfast import R3F, attach
study = holdfast.compare("tickets.csv", epoch=3)
model = attach(1, R3F(weight="much"))
study.best.no_such
text: str = holdfast.load_task("rte")
"""
    *told, of_wrong = check(tmp_path, *(block.text for block in shown), wrong)
    assert told == [[] for _ in shown]
    lines = {int(line.split(":")[1]) for line in of_wrong if "error" in line}
    assert lines == {3, 4, 5, 6}, of_wrong
