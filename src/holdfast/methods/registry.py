"""Which methods there are: Holdfast's own, and those other packages bring."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.lazy import stub_imports
from holdfast.methods.base import Method

GROUP = "holdfast.methods"
"""Entry-point group: name = "package.module:Class", a subclass of ``Method`` whose ``name`` is the same."""


def catalogue() -> dict[str, type[Method]]:
    """Return the method classes by name, Holdfast's own first.

    Raises ``HoldfastError`` when an installed package registers something that is no method, or takes a name
    that is in use.
    """
    methods = {method.name: method for method in _own()}
    for entry in _registered():
        method = entry.load()
        if not (isinstance(method, type) and issubclass(method, Method) and method.name == entry.name):
            raise HoldfastError(
                f"entry point {entry.name} = {entry.value} in group {GROUP} is not a Method class "
                f"named {entry.name!r}: fix or uninstall the package that registers it"
            )
        if entry.name in methods:
            raise HoldfastError(
                f"entry point {entry.name} = {entry.value} takes a method name in use: "
                "rename it or uninstall its package"
            )
        methods[entry.name] = method
    return methods


@cache
def _own() -> tuple[type[Method], ...]:
    homes = stub_imports(Path(__file__).parents[1] / "__init__.pyi")
    members = (
        getattr(import_module(home), name) for name, home in homes.items() if home.startswith("holdfast.methods.")
    )
    methods = [one for one in members if isinstance(one, type) and issubclass(one, Method) and one is not Method]
    # The baseline first.
    return tuple(sorted(methods, key=lambda method: (method.name != "vanilla", method.name)))


@cache
def _registered() -> tuple[EntryPoint, ...]:
    # Looks through the metadata of every installed package, and methods are asked for by every run.
    return tuple(entry_points(group=GROUP))
