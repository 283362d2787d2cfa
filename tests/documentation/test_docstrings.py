"""The example of each public class and function is run, on what the documentation's Python blocks take for granted."""

import doctest
import inspect
import io

import pytest

import holdfast
from documentation.pages import ROOT, Code
from documentation.setups import set_up

pytestmark = pytest.mark.filterwarnings("ignore")  # of Transformers and PEFT about their own futures

PUBLIC = {name: getattr(holdfast, name) for name in holdfast.__all__}
SHOWN = [name for name, thing in PUBLIC.items() if not inspect.ismodule(thing)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_its_example_runs(name, here, monkeypatch):
    from transformers import AutoModelForSequenceClassification, PrinterCallback

    monkeypatch.setattr(PrinterCallback, "on_log", lambda *arguments, **more: None)

    thing = PUBLIC[name]
    given = {**PUBLIC, "holdfast": holdfast, "AutoModelForSequenceClassification": AutoModelForSequenceClassification}
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(thing), {}, name, inspect.getsourcefile(thing), 0)
    assert test.examples, f"{name}: its docstring shows no example"
    source = "".join(example.source for example in test.examples)
    block = Code(ROOT / "src", 1, "python", source)
    test.globs = set_up(block, given) | given
    told = io.StringIO()
    failed = doctest.DocTestRunner(verbose=False).run(test, out=told.write).failed
    assert not failed, told.getvalue()
