"""A recipe: a table of a paper as a study for each of its tasks, with what is known of its settings and results."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast import recipes
from holdfast.errors import HoldfastError, nearest
from holdfast.records.run import TrainingSettings
from holdfast.study.define.study_file import StudyFile, load_yaml
from holdfast.study.define.validated import KeyPath, validated
from holdfast.tasks.catalogue import FURTHER_SPLITS, NAMED

Points = Annotated[float, Field(ge=-100, le=100)]

_OF_THE_COMMAND = {"tasks", "recipe", "smoke", "workers", "threads", "remote_code", "pickled_weights"}
"""Keys of a study that a recipe does not set."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Paper(_Part):
    """Where the table stands."""

    title: str
    arxiv: str


class Published(_Part):
    """Results that were read in the paper."""

    statistic: Literal["best", "median", "mean", "unstated"]
    """What the paper made of its runs."""
    runs: int | None = Field(default=None, gt=0)
    """How many; None where the paper does not tell."""
    scores: dict[str, dict[str, dict[str, Points]]]
    """Points by where was scored (a task, an ``ood`` task or an average), method and metric."""


class Smoke(_Part):
    """What ``--smoke`` runs in place of the real thing."""

    model: Literal["bert", "roberta", "xlm-roberta", "bart"]
    """Architecture of the tiny random model."""
    settings: dict[str, Any] = {}


class Recipe(_Part):
    """One YAML file of ``holdfast.recipes``."""

    name: str
    """Of the file, without its ending."""
    paper: Paper
    table: str
    about: str
    """Data and model in one line."""
    study: dict[str, Any]
    """Keys of ``StudyFile`` that all tasks share."""
    tasks: dict[str, dict[str, Any]] = Field(min_length=1)
    """By task: keys of ``StudyFile`` of its own, ``settings`` key by key."""
    called: dict[str, str] = {}
    """What the paper calls a method."""
    averages: dict[str, list[str]] = {}
    """Means that the paper gives, by name: over which ``ood`` tasks."""
    published: list[Published] = []
    unverified: dict[str, str]
    """Keys whose values were not read in the paper, and why they are as they are."""
    differs: list[str] = []
    """What is known to be otherwise here than in the paper or its code."""
    smoke: Smoke

    @property
    def results(self) -> int:
        """How many numbers were read in the paper."""
        tables = [by_method for block in self.published for by_method in block.scores.values()]
        return sum(len(scores) for by_method in tables for scores in by_method.values())

    def values(self, task: str) -> dict[str, Any]:
        """Return the keys of the study of one task."""
        own = self.tasks[task]
        settings = {**self.study.get("settings", {}), **own.get("settings", {})}
        return {**self.study, **own, "settings": settings, "tasks": [task], "recipe": self.name}

    def study_of(self, task: str) -> StudyFile:
        """Return the study of one task. Raises ``HoldfastError`` for keys that no study has."""
        return validated(StudyFile, self.values(task), lambda place: self._spell(task, place))

    def places(self, task: str) -> dict[str, list[str]]:
        """Return where models trained on ``task`` are scored, and over which tasks that is a mean."""
        study = self.study_of(task)
        scored = [task, *(ood.task.source for ood in study.ood)]
        means = {name: over for name, over in self.averages.items() if set(over) <= set(scored)}
        return {**{name: [name] for name in scored}, **means}

    def _spell(self, task: str, place: KeyPath) -> str:
        held: Any = self.tasks[task]
        for step in place:
            held = held.get(step) if isinstance(held, Mapping) else None
        where = f"tasks.{task}" if held is not None or not place else "study"
        return ".".join([f"{_file(self.name)}: {where}", *map(str, place)])


def recipe_names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(file.stem for file in recipes.FOLDER.glob("*.yaml"))


@cache
def load_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises ``HoldfastError`` for an unknown name, and for a file that is misspelt anywhere or names a task, method,
    metric or setting that there is not.
    """
    if name not in recipe_names():
        raise HoldfastError(
            f"{name}: no recipe of that name{nearest(name, recipe_names())}; `holdfast reproduce --list` lists them"
        )
    file = _file(name)
    values = {**load_yaml(recipes.FOLDER / file), "name": name}
    recipe = validated(Recipe, values, lambda place: f"{file}: {'.'.join(map(str, place))}")
    for task in recipe.tasks:
        _check_keys(recipe, task)
        recipe.study_of(task)
    _check_published(recipe)
    _check_unverified(recipe)
    return recipe


def check_followed(study: StudyFile) -> None:
    """Raise ``HoldfastError`` where ``study`` follows a recipe that there is not, or cannot be that recipe's."""
    if study.recipe is None:
        if study.smoke:
            raise HoldfastError("smoke: this is the form of a recipe, and the study follows none; leave it out")
        return
    known = load_recipe(study.recipe).tasks
    if study.sequence is not None or len(study.tasks) > 1 or study.tasks[0].source not in known:
        raise HoldfastError(
            f"recipe: a study that follows {study.recipe} has one task of it ({', '.join(known)}); leave recipe out"
        )


def _file(name: str) -> str:
    return f"{name}.yaml"


def _check_keys(recipe: Recipe, task: str) -> None:
    file = _file(recipe.name)
    if task not in NAMED:
        raise HoldfastError(f"{file}: tasks.{task}: no task of that name{nearest(task, NAMED)}; give a named task")
    for where, keys in (("study", recipe.study), (f"tasks.{task}", recipe.tasks[task])):
        for key in _OF_THE_COMMAND & keys.keys():
            raise HoldfastError(f"{file}: {where}.{key}: this is set by the command; leave it out")


def _check_published(recipe: Recipe) -> None:
    from holdfast import methods

    file = _file(recipe.name)
    texts = set(recipe.called)
    places = {place: over for task in recipe.tasks for place, over in recipe.places(task).items()}
    for block in recipe.published:
        for place, rows in block.scores.items():
            if place not in places:
                raise HoldfastError(
                    f"{file}: published: nothing is scored on {place!r}{nearest(place, places)}; "
                    f"scored are {', '.join(places)}"
                )
            home = FURTHER_SPLITS.get(places[place][0], (places[place][0], ""))[0]
            for method, scores in rows.items():
                texts.add(method)
                for metric in scores.keys() - set(NAMED[home].metrics):
                    raise HoldfastError(
                        f"{file}: published.{place}.{method}: {place} is not scored by "
                        f"{metric!r}{nearest(metric, NAMED[home].metrics)}; give {', '.join(NAMED[home].metrics)}"
                    )
    for text in sorted(texts):
        methods.parse(text)


def _check_unverified(recipe: Recipe) -> None:
    known = [
        *(key for key in StudyFile.model_fields if key not in _OF_THE_COMMAND - {"tasks"}),
        *(f"settings.{key}" for key in TrainingSettings.model_fields),
        *(f"published.{place}" for block in recipe.published for place in block.scores),
    ]
    for key in recipe.unverified:
        if key not in known:
            raise HoldfastError(
                f"{_file(recipe.name)}: unverified: there is no key {key!r}{nearest(key, known)}; "
                "name one of a study, or a task under `published`"
            )
