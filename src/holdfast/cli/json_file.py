"""``--json``: a file for all numbers."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from holdfast.errors import HoldfastError

JsonFile = Annotated[Path | None, typer.Option("--json", help="File for all numbers.", show_default=False)]


def check_json_file(path: Path | None) -> None:
    """Raise ``HoldfastError``, before any work is done, for a file that cannot be written."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise HoldfastError(f"--json {path}: give a file in a folder that exists")


def write_json(path: Path | None, results: BaseModel) -> None:
    """Write ``results`` and say where they are; nothing for None."""
    from holdfast.study.store.atomic import write_text

    if path is not None:
        write_text(path, results.model_dump_json(indent=2))
        typer.echo(f"numbers: {path}")
