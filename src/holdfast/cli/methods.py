"""``holdfast methods``: which there are, what they take, and what they do to a model."""

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import options as o
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource

if TYPE_CHECKING:
    from holdfast.methods.base import Method
    from holdfast.training.session.footprints import ModelFootprint

_CLASSES = 2
"""Of the classifier that a model is shown as; its head is the only part that depends on it."""


def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to see its arguments.", show_default=False)] = None,
    model: Annotated[
        str | None,
        o.option(
            "Show which weights of this model the method works on, and the memory that takes: minilm, a folder, or a "
            "hub id. No weights are loaded."
        ),
    ] = None,
    revision: o.Revision = None,
    remote_code: o.RemoteCode = False,
) -> None:
    """List the methods, or describe one with its arguments and their defaults.

    \b
    Examples:
      holdfast methods
      holdfast methods r3f
      holdfast methods dps --model minilm
      holdfast methods "dps(variant=mix)+r3f" --model minilm
    """
    from holdfast.methods import catalogue, parse

    if name is None:
        if model is not None:
            raise HoldfastError(f"--model {model} needs a method: holdfast methods NAME --model {model}")
        known = catalogue()
        width = max(map(len, known))
        for entry in known.values():
            typer.echo(f"{entry.name:<{width}}  {entry.summary}")
        typer.echo("\nArguments: holdfast methods NAME. Joined by +: r3f+other. With arguments: r3f(weight=0.5).")
        return
    parsed = parse(name)
    lines = []
    if model is not None:
        # Before the methods are described, so that a mistake is not told below pages of text. Weights that are
        # pickled do no harm, as none are read.
        lines = _footprints(parsed, ModelSource(model, revision, remote_code, pickled_weights=True))
    for method in parsed:
        _describe(method)
    for line in lines:
        typer.echo(line)


def _describe(method: "Method") -> None:
    import inspect

    from holdfast.cli.attribute_docs import attribute_docs
    from holdfast.methods import arguments

    cls = type(method)
    docs = attribute_docs(cls)
    text = f"{cls.name}: {cls.summary}\n\n{inspect.getdoc(cls)}\n"
    # The mark-up of code in docstrings is for pages, not for terminals.
    typer.echo(text.replace("``", ""))
    fields = arguments(method)
    typer.echo("Arguments and what they are set to:" if fields else "No arguments.")
    for field in fields:
        doc = docs.get(field.name, "").replace("``", "")
        typer.echo(f"  {field.name}={getattr(method, field.name)}" + (f"\n      {doc}" if doc else ""))


def _footprints(parsed: list["Method"], model: ModelSource) -> list[str]:
    from holdfast.training.models.loading import check_model, empty_classifier
    from holdfast.training.session.footprints import footprints

    check_model(model)
    lines = []
    for one in footprints(parsed, empty_classifier(model, _CLASSES)):
        lines += ["", f"{one.method} in {model.name}, as a classifier of {_CLASSES} classes:", *_lines(one)]
    return lines


def _lines(one: "ModelFootprint") -> list[str]:
    lines, footprint = [], one.footprint
    if footprint.action:
        width = max((len(row.name) for row in one.rows), default=0)
        lines += [f"  {row.name:<{width}}  {'x'.join(map(str, row.shape))}" for row in one.rows]
        lines.append(f"{_of(one.weights, 'weights', one.parameters)}: {footprint.action}.")
        if footprint.state_bytes:
            each = f"{footprint.state_bytes / one.weights:.3g} bytes a selected weight"
            lines.append(f"Extra memory: {footprint.state_bytes / 1e6:.1f} MB at most, {each}.")
        else:
            lines.append("No extra memory.")
    else:
        lines.append(f"It works on all {one.parameters:,} weights alike and keeps nothing a weight.")
    if one.trained is not None:
        trained, parameters = one.trained
        lines.append(f"{_of(trained, 'parameters', parameters)} have gradients.")
    return lines


def _of(part: int, what: str, whole: int) -> str:
    share = f"{100 * part / whole:.3g}"
    return f"{part:,} of {whole:,} {what} ({'over 99.9' if share == '100' and part < whole else share} %)"
