"""Recipes: one YAML file for each table of a paper that can be run again; ``holdfast.study.recipe`` reads them."""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))
