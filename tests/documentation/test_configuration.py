"""YAML, JSON and TOML blocks of the documentation are read by what reads such files."""

import json
import math
import tomllib

import pytest
import torch
import yaml

from documentation.pages import ROOT, blocks
from documentation.shell import QUICK
from holdfast import Engine, recipes
from holdfast.methods import catalogue, parse, registry
from holdfast.study.define.recipe import load_recipe
from holdfast.tasks import TaskSpec, load_task
from tiny import batch, classifier


def _recipe(block):
    return "published" in yaml.safe_load(block.text)


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if not _recipe(block)], ids=str)
def test_a_study_file_can_be_run(block, here, holdfast, untimed):
    (here / "study.yaml").write_text(block.text)
    done = holdfast("compare", "study.yaml", *QUICK["compare",])
    assert done.code == 0, f"{block}: {done.err}"
    study = yaml.safe_load(block.text)
    assert all(f"method   {method}" in done.out for method in study["methods"])


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if _recipe(block)], ids=str)
def test_a_recipe_is_one(block, tmp_path, monkeypatch):
    (tmp_path / "shown.yaml").write_text(block.text)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    recipe = load_recipe("shown")
    assert {task: recipe.study_of(task).tasks[0].source for task in recipe.tasks} == {
        task: task for task in recipe.tasks
    }


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_a_row_is_read_as_what_its_page_is_about(block, tmp_path):
    """Its columns are enough to tell: without an option, rows like it are a task of the page's kind."""
    row = json.loads(block.text)
    rows = [{name: f"{number} {value}" for name, value in row.items()} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_task(TaskSpec(source=str(tmp_path / "rows.jsonl"))).kind == block.page.stem


@pytest.fixture
def fresh_registry():
    registry._registered.cache_clear()
    yield
    registry._registered.cache_clear()


def test_the_example_method_is_registered_as_shown(tmp_path, monkeypatch, holdfast, fresh_registry):
    """As a package whose module and entry point are the page's blocks, word for word."""
    page = ROOT / "docs" / "adding-a-method.md"
    method, entry = (next(block for block in blocks(kind) if block.page == page) for kind in ("python", "toml"))
    ((name, target),) = tomllib.loads(entry.text)["project"]["entry-points"][registry.GROUP].items()
    module, _, attribute = target.partition(":")
    file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir()
    file.write_text(method.text)
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert catalogue()[name].__name__ == attribute
    told = holdfast("methods", name)
    assert told.code == 0
    assert catalogue()[name].summary in told.out
    (made,) = parse(f"{name}(weight=2.0)")
    model = classifier("bert")
    p = model(**batch()).logits.softmax(-1).tolist()
    entropies = [-sum(one * math.log(one) for one in row) for row in p]
    engine = Engine(model, [made], optimizer=torch.optim.AdamW)
    engine.backward(engine.loss(batch()))
    assert engine.terms[name] == pytest.approx(-2.0 * sum(entropies) / len(entropies), rel=1e-5)
    before = [weights.clone() for weights in model.parameters()]
    engine.step()
    assert any(not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
