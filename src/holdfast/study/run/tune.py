"""One run for its model alone: an ordinary checkpoint in a folder, nothing else around it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord
from holdfast.study.define.folders import folder_name
from holdfast.study.plan.prepare import Prepared
from holdfast.study.run import run_one
from holdfast.study.store.atomic import write_text

if TYPE_CHECKING:
    from holdfast.training.run.progress import Progress


def check_free(out: Path) -> None:
    """Raise ``HoldfastError`` when ``out`` is a file or a folder with something in it."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise HoldfastError(f"{out} is there already; choose another --out or remove it")


def default_folder(prepared: Prepared) -> Path:
    """Return where the model goes by default."""
    return Path("holdfast-models", folder_name(prepared.tasks[0].name))


def tune(
    prepared: Prepared,
    out: Path,
    card: Callable[[RunRecord], str],
    on_progress: Callable[["Progress"], None],
) -> RunRecord:
    """Do the first run of ``prepared`` in this process and leave the plain model in ``out``.

    Beside the model are ``README.md`` (what ``card`` writes), ``record.json`` and ``predictions.npz``. ``out``
    appears when all is in it; whatever the run raises passes, and leaves nothing.
    """
    check_free(out)
    spec, task = prepared.grid[0], prepared.tasks[0]
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        record = run_one.import_runner(run_one.RUNNER)(spec, task, partial, on_progress, {})
        for file in (partial / "model").iterdir():
            file.rename(partial / file.name)
        (partial / "model").rmdir()
        # It serves to compare runs, of which this is one.
        (partial / "representations.npz").unlink(missing_ok=True)
        write_text(partial / "README.md", card(record))
        write_text(partial / "record.json", record.model_dump_json(indent=2))
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return record
