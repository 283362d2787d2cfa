"""Public names that load what they need when they are first used.

A package's names stand in its stub, ``__init__.pyi``, as plain imports: what type checkers and editors read there is
what there is at run time. After https://scientific-python.org/specs/spec-0001, which allows no name from elsewhere.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def names_from_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: The package's ``__name__``.
        file: Its ``__file__``. The stub beside it holds ``from module import name as name``; a name that is imported
            from the package itself is one of its modules.
    """
    homes = stub_imports(Path(file).with_suffix(".pyi"))
    names = sorted(homes)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            return import_module(f"{package}.{name}")
        return getattr(import_module(homes[name]), name)

    return load, lambda: list(names), names


def stub_imports(stub: Path) -> dict[str, str]:
    """Return the module that each name of ``stub`` is imported from, in the order of the file."""
    homes: dict[str, str] = {}
    for line in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.ImportFrom):
            homes.update((alias.name, str(line.module)) for alias in line.names)
    return homes
