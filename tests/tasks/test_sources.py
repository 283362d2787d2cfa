"""What a source may be: a task's name, a path, a hub id, or a mistake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks import available
from holdfast.tasks.catalogue import NAMED
from holdfast.tasks.load import load_task

from .conftest import Write, rows_of, spam

RTE = [{"sentence1": f"fact {i}", "sentence2": f"claim {i}", "label": i % 2, "idx": 100 + i} for i in range(8)]


def rows_for(name: str, count: int = 12) -> list[dict[str, Any]]:
    """Rows with the columns and labels that a named task asks for."""
    entry = NAMED[name]
    labels: list[Any] = list(range(len(entry.labels))) or [0.5, 1.5, 4.0]
    labels = ["a text to write", "another text"] if entry.kind == "generation" else labels
    special = {"span1_index": 0, "span1_text": "text", "span2_index": 1, "span2_text": "number", "question": "cause"}
    rows: list[dict[str, Any]] = []
    for i in range(count):
        row: dict[str, Any] = {c: f"{c} number {i} of {name}" for c in entry.columns}
        row |= {c: special[c] for c in entry.columns if c in special and (c != "question" or name == "copa")}
        row[entry.label] = labels[i % len(labels)]
        if entry.kind == "tokens":
            row |= {"tokens": ["word", f"number{i}"], entry.label: [0, row[entry.label]]}
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", list(NAMED))
def test_every_named_task_loads_from_the_data_folder(write: Write, name: str) -> None:
    write(f"{name}/validation.jsonl", [{**row, "extra": 1} for row in rows_for(name, 6)])
    folder = write(f"{name}/train.jsonl", rows_for(name)).parent.parent
    task = load_task(TaskSpec(source=name), folder)
    listed = next(info for info in available() if info.name == name)
    assert (task.name, task.kind, task.metrics) == (name, listed.kind, listed.metrics)
    assert task.label_names == listed.labels
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 12, "validation": 6}
    assert (task.splits["train"].pairs is None) == (NAMED[name].pair is None)


def test_rows_arrive_in_order_with_hub_label_order_and_ids(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_DATA", str(write("rte/train.jsonl", RTE).parent.parent))
    write("rte/validation.jsonl", RTE[:2])
    write("rte/test.jsonl", [{**row, "label": -1} for row in RTE])
    task = load_task(TaskSpec(source="rte"))
    assert rows_of(task.splits["train"]) == [(f"fact {i}", f"claim {i}", i % 2) for i in range(8)]
    assert task.splits["train"].ids == [str(100 + i) for i in range(8)]
    assert task.label_names == ("entailment", "not_entailment")
    assert task.splits["test"].labels is None
    assert task.scored_split == "validation"


def test_mnli_keeps_the_mismatched_split(write: Write) -> None:
    rows = rows_for("mnli")
    for split in ("train", "validation", "validation_mismatched"):
        write(f"mnli/{split}.jsonl", rows)
    folder = write("mnli/ignored.txt", "x").parent.parent
    task = load_task(TaskSpec(source="mnli"), folder)
    assert list(task.splits) == ["train", "validation", "validation_mismatched"]


def test_texts_built_from_several_columns(write: Write) -> None:
    wsc = {
        "text": "Mark told Pete Smith a lie. He was sorry.",
        "span1_index": 2,
        "span1_text": "Pete Smith",
        "span2_index": 6,
        "span2_text": "He",
    }
    wic = {"word": "bank", "sentence1": "A river bank.", "sentence2": "A rich bank."}
    write("wsc/train.jsonl", [{**wsc, "text": wsc["text"] + str(i), "label": i % 2} for i in range(8)])
    folder = write("wic/train.jsonl", [{**wic, "label": i % 2} for i in range(8)] + rows_for("wic")).parent.parent
    marked = load_task(TaskSpec(source="wsc"), folder).splits["train"].texts[0]
    assert marked.startswith("Mark told [Pete Smith] a lie. *He* was sorry.")
    senses = load_task(TaskSpec(source="wic"), folder)
    assert ("bank: A river bank.", "bank: A rich bank.") in {
        (text, pair) for split in senses.splits.values() for text, pair, _ in rows_of(split)
    }


def test_pairs_without_an_agreed_label_are_left_out_and_told(write: Write) -> None:
    rows = rows_for("snli")
    rows[3]["label"] = rows[7]["label"] = -1
    folder = write("snli/train.jsonl", rows).parent.parent
    task = load_task(TaskSpec(source="snli"), folder)
    assert sum(map(len, task.splits.values())) == 10
    assert "train: 2 rows without a label left out" in task.notes


def test_empty_texts_of_official_data_are_warned_of(write: Write) -> None:
    rows = rows_for("qqp")
    rows[2]["question2"] = ""
    task = load_task(TaskSpec(source="qqp"), write("qqp/train.jsonl", rows).parent.parent)
    assert any("train.jsonl: 1 empty texts (line 3)" in warning for warning in task.warnings)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{**RTE[0], "label": 2}, *RTE], "label '2'"),
        ([{"sentence1": "x", "label": 0}] * 3, "no column 'sentence2'"),
        ([{**RTE[0], "label": None}, *RTE], "no label in line 1"),
    ],
)
def test_broken_named_data(write: Write, rows: list[dict[str, Any]], part: str) -> None:
    with pytest.raises(HoldfastError, match=part):
        load_task(TaskSpec(source="rte"), write("rte/train.jsonl", rows).parent.parent)


@pytest.mark.parametrize("broken", [{"span1_index": 40}, {"span2_text": None}])
def test_rows_no_text_can_be_built_from_are_named(write: Write, broken: dict[str, Any]) -> None:
    rows = rows_for("wsc")
    rows[4].update(broken)
    with pytest.raises(HoldfastError, match="line 5: no text can be built from"):
        load_task(TaskSpec(source="wsc"), write("wsc/train.jsonl", rows).parent.parent)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("rtee", ["'rte'", "holdfast tasks"]),
        ("RTE", ["'rte'"]),
        ("playground/negatoin", ["'negation'", "playground/negation"]),
        ("playgroud/negation", ["'playground/negation'"]),
        ("record", ["tasks whose choices differ in number are not supported yet"]),
        ("missing.csv", ["no such file or folder"]),
        ("./missing/folder", ["no such file or folder"]),
        ("some/deep/missing/folder", ["no such file or folder"]),
        ("zzzzzz", ["neither a task nor a file", "holdfast tasks"]),
    ],
)
def test_unknown_sources(source: str, parts: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HoldfastError) as error:
        load_task(TaskSpec(source=source))
    assert "\n" not in str(error.value)
    for part in [source, *parts]:
        assert part in str(error.value)


def test_a_mistyped_path_is_told_with_its_neighbour(write: Write) -> None:
    path = write("tickets.csv", "text,label\na,b\n")
    with pytest.raises(HoldfastError, match=r"did you mean '.*tickets\.csv'"):
        load_task(TaskSpec(source=str(path.with_name("tikets.csv"))))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"source": "rte", "text": "sentence1"}, "--text does not apply to a named task"),
        ({"source": "rte", "kind": "regression"}, "kind does not apply"),
        ({"source": "rte", "size": 5}, "--size does not apply"),
        ({"source": "playground/negation", "label": "label"}, "--label does not apply to a generated task"),
        ({"source": "some/data", "validation": "v.csv"}, "--validation does not apply to a data set of the hub"),
    ],
)
def test_options_that_do_not_apply(options: dict[str, Any], part: str) -> None:
    with pytest.raises(HoldfastError, match=part):
        load_task(TaskSpec(**options))


def test_data_folders_that_do_not_serve(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("scitail/test.jsonl", rows_for("scitail"))
    with pytest.raises(HoldfastError, match=r"no train\.jsonl .*test\.jsonl"):
        load_task(TaskSpec(source="scitail"), tmp_path)
    with pytest.raises(HoldfastError, match=r"trec: comes only from a local folder .* has none"):
        load_task(TaskSpec(source="trec"), tmp_path)
    with pytest.raises(HoldfastError, match=r"--data-dir .*: no such folder"):
        load_task(TaskSpec(source="rte"), tmp_path / "nowhere")
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(HoldfastError, match=r"HOLDFAST_DATA .*: no such folder"):
        load_task(TaskSpec(source="rte"))


def test_an_unreachable_hub_is_told_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HoldfastError) as error:
        load_task(TaskSpec(source="rte"))
    for part in ("rte", "nyu-mll/glue:rte", "--data-dir", "HOLDFAST_DATA", "connect"):
        assert part in str(error.value)
    with pytest.raises(HoldfastError, match=r"no-such/thing: the hub cannot serve .* no file or folder of that name"):
        load_task(TaskSpec(source="no-such/thing"))
    assert capfd.readouterr().err == ""


class Hub:
    """Stands in for the hub: data sets by path and configuration."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data: dict[tuple[str, str | None], DatasetDict] = {}
        monkeypatch.setattr(datasets, "load_dataset", self.load)

    def load(self, path: str, name: str | None = None, **options: Any) -> DatasetDict:
        assert not options, "remote code and other options are never passed"
        if (path, name) not in self.data:
            raise ValueError(f"BuilderConfig {name!r} not found. Available: ['a']")
        return self.data[path, name]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


def dataset(rows: list[dict[str, Any]], names: list[str] | None = None) -> Dataset:
    made = Dataset.from_list(rows)
    if names is None:
        return made
    features = Features({k: ClassLabel(names=names) if k == "label" else v for k, v in made.features.items()})
    return made.cast(features)


def test_hub_data_with_declared_classes(hub: Hub) -> None:
    rows = [{"text": f"row {i}", "label": i % 3} for i in range(30)]
    hub.data["org/news", "big"] = DatasetDict(
        train=dataset([*rows, {"text": "undecided", "label": -1}], ["zebra", "ant", "cow"]),
        dev=dataset(rows[:5], ["zebra", "ant", "cow"]),
        test=dataset([{"text": "hidden", "label": -1}], ["zebra", "ant", "cow"]),
        unsupervised=dataset([{"text": "more", "label": -1}], ["zebra", "ant", "cow"]),
    )
    task = load_task(TaskSpec(source="org/news:big"))
    assert task.name == "org/news:big"
    assert task.label_names == ("zebra", "ant", "cow")
    assert {name: len(split) for name, split in task.splits.items()} == {"train": 30, "validation": 5, "test": 1}
    assert task.splits["test"].labels is None
    assert rows_of(task.splits["validation"]) == [(f"row {i}", None, i % 3) for i in range(5)]


def test_lists_of_the_hub_stand_in_no_label_s_way(hub: Hub) -> None:
    rows = [{"text": f"a row {i}", "mood": "xy"[i % 2], "input_ids": [1, 2]} for i in range(20)]
    hub.data["org/lists", None] = DatasetDict(train=dataset(rows))
    assert load_task(TaskSpec(source="org/lists")).label_names == ("x", "y")


def test_numbers_of_the_hub_s_classes_are_places_whatever_their_names(hub: Hub) -> None:
    made = Dataset.from_list([{"tokens": ["a", "b"], "tags": [0, 1]}, {"tokens": ["c"], "tags": [1]}])
    features = made.features.copy()
    features["tags"] = datasets.List(ClassLabel(names=["1", "2"]))
    hub.data["org/words", None] = DatasetDict(
        train=made.cast(features), test=made.cast(features), dev=made.cast(features)
    )
    task = load_task(TaskSpec(source="org/words"))
    assert (task.label_names, task.splits["test"].tags[0]) == (("1", "2"), [0, 1])


def test_papers_that_a_paper_refers_to_are_no_texts_to_write(hub: Hub) -> None:
    rows = [{"article": f"a paper {i}", "abstract": f"it is {i}", "references": ["Another one"]} for i in range(20)]
    hub.data["org/papers", None] = DatasetDict(train=dataset(rows))
    task = load_task(TaskSpec(source="org/papers"))
    assert task.splits["train"].references is None
    assert any("'references' is no list of texts" in warning and "left out" in warning for warning in task.warnings)


def test_hub_data_with_options_and_held_out_rows(hub: Hub) -> None:
    rows = [{"a": f"long text {i}", "b": f"other text {i}", "c": "xy"[i % 2]} for i in range(20)]
    hub.data["org/pairs", None] = DatasetDict(train=dataset(rows))
    task = load_task(TaskSpec(source="org/pairs", text="a", text_pair="b", label="c"))
    assert (task.label_names, len(task.splits["validation"])) == (("x", "y"), 4)


def test_named_tasks_from_the_hub(hub: Hub) -> None:
    mnli = dataset([{"premise": f"p{i}", "hypothesis": f"h{i}", "label": i % 3} for i in range(9)])
    hub.data["nyu-mll/glue", "mnli"] = DatasetDict(
        train=mnli,
        validation_matched=mnli.select(range(3)),
        validation_mismatched=mnli.select(range(6)),
        test_matched=mnli,
    )
    task = load_task(TaskSpec(source="mnli"))
    sizes = {name: len(split) for name, split in task.splits.items()}
    assert sizes == {"train": 9, "validation": 3, "test": 9, "validation_mismatched": 6}
    hub.data["allenai/scitail", "tsv_format"] = DatasetDict(
        train=dataset(
            [{"premise": f"p{i}", "hypothesis": f"h{i}", "label": ("entails", "neutral")[i % 2]} for i in range(20)]
        )
    )
    task = load_task(TaskSpec(source="scitail"))
    assert task.label_names == ("entailment", "not_entailment")
    assert sorted(rows_of(task.splits["train"]) + rows_of(task.splits["validation"])) == sorted(
        (f"p{i}", f"h{i}", i % 2) for i in range(20)
    )
    hub.data["cornell-movie-review-data/rotten_tomatoes", None] = DatasetDict(
        train=dataset([{"text": f"film {i}", "label": i % 2} for i in range(20)])
    )
    assert len(load_task(TaskSpec(source="mr")).splits["train"]) == 16


def test_hub_mistakes(hub: Hub) -> None:
    with pytest.raises(HoldfastError, match=r"org/x:b: the hub cannot serve .*'b' not found"):
        load_task(TaskSpec(source="org/x:b"))
    hub.data["org/x", None] = DatasetDict(test=dataset([{"text": "a", "label": 1}]))
    with pytest.raises(HoldfastError, match="no training split, only 'test'"):
        load_task(TaskSpec(source="org/x"))


def test_the_data_folder_is_asked_before_the_hub(write: Write, hub: Hub) -> None:
    folder = write("rte/train.jsonl", RTE).parent.parent
    assert load_task(TaskSpec(source="rte"), folder).name == "rte"


def test_the_list_is_cheap_and_complete() -> None:
    names = [info.name for info in available()]
    assert len(set(names)) == len(names)
    assert {"playground/agreement", "playground/entailment", "playground/negation"} < set(names)
    glue = {"rte", "mrpc", "cola", "stsb", "sst2", "mnli", "qnli", "qqp", "wnli"}
    more = {"cb", "boolq", "wic", "wsc", "snli", "scitail", "sick", "trec", "mr", "subj", "cr", "ag_news"}
    assert glue | more < set(names)
    assert all(info.description and info.metrics and info.columns for info in available())


def test_importing_the_room_loads_nothing_heavy() -> None:
    import subprocess

    heavy = ["torch", "transformers", "datasets", "pandas", "sklearn", "scipy", "pyarrow", "numpy"]
    code = f"import sys, holdfast.tasks.load, holdfast.tasks.listing; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_spam_file_and_hub_share_the_column_logic(write: Write, hub: Hub) -> None:
    hub.data["org/spam", None] = DatasetDict(train=dataset(spam(20)))
    from_file = load_task(TaskSpec(source=str(write("spam.jsonl", spam(20)))))
    assert load_task(TaskSpec(source="org/spam")).fingerprint == from_file.fingerprint


def test_binary_columns_of_the_hub_are_no_candidates(hub: Hub) -> None:
    features = Features({"picture": Value("binary"), "text": Value("string"), "label": Value("int64")})
    rows = [{"picture": b"x", "text": f"some text {i}", "label": i % 2} for i in range(10)]
    hub.data["org/memes", None] = DatasetDict(train=Dataset.from_list(rows, features=features))
    assert load_task(TaskSpec(source="org/memes")).label_names == ("0", "1")
