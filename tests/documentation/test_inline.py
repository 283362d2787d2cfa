"""Code within the prose: commands, options, names and arguments that it mentions are there."""

import inspect
import pkgutil
import re

import pytest
import torch
import typer

from documentation.pages import PAGES, ROOT, blocks, inline, prose
from documentation.shell import PROGRAMS, calls, check
from holdfast import Engine, MethodSession, Vanilla
from holdfast.cli.main import app
from holdfast.methods import catalogue, parse
from tiny import classifier

OTHERS = {"--max_steps", "--warmup_ratio", "--start_from_pretrain", "--no-deps"}
"""Options of published code that pages quote, and of pip."""
_COMMAND = re.compile(rf"(\w+=\S+ )?({'|'.join(PROGRAMS)}) ")
_OPTION = re.compile(r"(?<!\S)(--[\w-]+)(?: ([^-\s]\S*))?")


def _walk(command):
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _walk(inner)


ROOT_COMMAND = typer.main.get_command(app)
TAKING = {}
"""By option: the commands that take it, each with the name of the parameter that it sets."""
for _one in _walk(ROOT_COMMAND):
    for _parameter in _one.params:
        for _option in _parameter.opts:
            TAKING.setdefault(_option, []).append((_one, _parameter.name))
BENCHMARKS = {
    option
    for file in (ROOT / "benchmarks").rglob("*.py")
    for option in re.findall(r'"(--[\w-]+)"', file.read_text(encoding="utf-8"))
}


def matching(pattern):
    return [code for code in inline() if re.match(pattern, code.text)]


def test_every_block_is_of_a_language_that_is_tested():
    for block in blocks():
        assert block.language in ("bash", "python", "yaml", "json", "toml"), f"{block}: no test runs {block.language!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_blocks_that_are_tested(page):
    """A command that is only indented, or not marked at all, would be run by no test."""
    for line, said in prose(page):
        assert not re.match(rf"\s*({'|'.join(PROGRAMS)}) \S+ .*--\w", said), f"{page.name}:{line}: fence this as bash"


def test_options_exist_and_take_the_values_named():
    found = [(code, *match.groups()) for code in inline() for match in _OPTION.finditer(code.text)]
    assert found
    for code, option, value in found:
        assert option in TAKING or option in BENCHMARKS | OTHERS | {"--help"}, f"{code}: no {option}"
        if value is not None and option in TAKING:
            assert any(_takes(*taking, option, value) for taking in TAKING[option]), f"{code}: not {option} {value}"


def _takes(command, parameter, option, value):
    """Whether a command understands the value; what it does not, it leaves out when it may not complain."""
    return command.make_context("", [option, value], resilient_parsing=True).params[parameter] is not None


@pytest.mark.parametrize("code", matching(r"holdfast "), ids=str)
def test_holdfast_has_the_command_and_the_command_the_options(code):
    command, words = ROOT_COMMAND, code.text.split()[1:]
    while words and (inner := getattr(command, "commands", None)):
        if words[0].startswith("--"):
            break
        assert words[0] in inner, f"{code}: no command {words[0]}"
        command = inner[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, f"{code}: {code.text}"


@pytest.mark.parametrize("code", [code for code in matching(_COMMAND) if "holdfast " not in code.text], ids=str)
def test_other_programs_find_what_they_are_told(code, tmp_path, monkeypatch):
    for program, *words in calls(code, tmp_path / "stubs"):
        check(program, words, monkeypatch)


@pytest.mark.parametrize("code", matching(r"holdfast(\.\w+)+(\(.*\))?$"), ids=str)
def test_names_can_be_imported(code):
    name = code.text.partition("(")[0]
    if not name.endswith(".safetensors"):
        assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("code", matching(rf"({'|'.join(catalogue())})\(.*=.*\)$"), ids=str)
def test_methods_take_the_arguments_named(code):
    # A letter stands for a number.
    assert parse(re.sub(r"=[a-z]\b", "=1", code.text))


def test_hooks_are_called_as_the_page_says():
    page = ROOT / "docs" / "adding-a-method.md"
    named = [re.match(r"(\w+)\(([\w, ]*)\)$", code.text) for code in inline() if code.page == page]
    hooks = [match for match in named if match and hasattr(MethodSession, match[1])]
    described = {match[1] for match in hooks}
    assert {name for name in vars(MethodSession) if not name.startswith("_")} <= described
    for match in hooks:
        taken = list(inspect.signature(getattr(MethodSession, match[1])).parameters)[1:]
        assert taken == [name for name in match[2].split(", ") if name], match[0]


def test_an_engine_has_what_is_said_of_it():
    engine = Engine(classifier("bert"), [Vanilla()], optimizer=torch.optim.AdamW)
    for code in matching(r"engine\.\w+"):
        name = re.match(r"engine\.(\w+)", code.text)[1]
        assert hasattr(engine, name), f"{code}: Engine has no {name}"
    taken = inspect.signature(Engine).parameters
    for code in matching(r"Engine\("):
        assert set(re.findall(r"(?<=[(, ])(\w+)=", code.text)) <= set(taken), code
