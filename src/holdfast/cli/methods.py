"""``holdfast methods``: which there are and what they take."""

from typing import Annotated

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to see its arguments.", show_default=False)] = None,
) -> None:
    """List the methods, or describe one with its arguments and their defaults.

    \b
    Examples:
      holdfast methods
      holdfast methods r3f
    """
    import inspect

    from holdfast.cli.attribute_docs import attribute_docs
    from holdfast.methods import arguments, catalogue, parse

    if name is None:
        known = catalogue()
        width = max(map(len, known))
        for entry in known.values():
            typer.echo(f"{entry.name:<{width}}  {entry.summary}")
        typer.echo("\nArguments: holdfast methods NAME. Joined by +: r3f+other. With arguments: r3f(weight=0.5).")
        return
    for method in parse(name):
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
