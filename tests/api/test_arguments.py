"""Arguments are the fields of what they make, and messages name them where the command's name options."""

import inspect
import typing

import pytest

import holdfast as h
from holdfast.api import arguments
from holdfast.cli.compare import compare as command
from holdfast.cli.tune import tune as tune_command
from holdfast.records.run import TrainingSettings
from holdfast.records.task import TaskSpec


def test_arguments_are_the_fields_of_what_they_make():
    assert set(arguments.ReadingOptions.__annotations__) | {"source"} == set(TaskSpec.model_fields)
    fields = {name: field.annotation for name, field in TrainingSettings.model_fields.items()}
    assert typing.get_type_hints(arguments.TrainingOptions) == fields


@pytest.mark.parametrize(
    ("call", "options", "of_command", "more"),
    [
        (h.compare, arguments.CompareOptions, command, {"scored_rows", "adam_beta2", "adam_epsilon"}),
        (h.tune, arguments.RunOptions, tune_command, {"scored_rows", "adam_beta2", "adam_epsilon"}),
    ],
)
def test_calls_take_what_the_commands_take(call, options, of_command, more):
    """But for showing a plan; and what study files alone can say."""
    own = {*inspect.signature(call).parameters, *options.__optional_keys__} - {"options"}
    taken = {*inspect.signature(of_command).parameters} - {"context", "dry_run"}
    renamed = {"probe" if name == "probed" else name for name in taken}
    assert own == (renamed - ({"method"} if call is h.compare else set())) | more


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("choose it with --text-pair, or --label", "choose it with `text_pair`, or `label`"),
        ("use --max-length 512, or less", "use `max_length=512`, or less"),
        ("--learning-rate 2e-05: too much", "`learning_rate=2e-05`: too much"),
        ("(--read quotes=no if they do not)", '(`read={"quotes": "no"}` if they do not)'),
        ("or give --kind classification", 'or give `kind="classification"`'),
        ("--kind does not apply; leave it out", "`kind` does not apply; leave it out"),
        ("add --remote-code to the command if you trust", "add `remote_code=True` if you trust"),
        ("hf download x --local-dir y --text-pairs", "hf download x --local-dir y --text-pairs"),
    ],
)
def test_messages_name_arguments(message, expected):
    assert arguments.as_arguments(message) == expected


def test_a_task_is_read_as_the_command_reads_it(tmp_path):
    rows = "".join(f"{index} words\t{'yes' if index % 2 else 'no'}\n" for index in range(40))
    (tmp_path / "mails.tsv").write_text(rows)
    task = h.load_task(tmp_path / "mails.tsv", text="column 1", label="column 2", read={"header": False}, holdout=0.25)
    assert (len(task.splits["train"]), len(task.splits["validation"]), task.label_names) == (30, 10, ("no", "yes"))
    with pytest.raises(h.HoldfastError, match="`label`"):
        h.load_task(tmp_path / "mails.tsv", text="column 1", label="column 3", read={"header": False})
    with pytest.raises(h.HoldfastError, match="put it into the TaskSpec of rte"):
        h.load_task(TaskSpec(source="rte"), text="premise")
