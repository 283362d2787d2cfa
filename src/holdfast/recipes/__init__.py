"""Recipes: one YAML file for each table of a paper that can be run again; ``holdfast.study.define`` reads them."""

from pathlib import Path

FOLDER = Path(__file__).parent
