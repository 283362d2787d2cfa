"""From options, of a command or of a Python call, to the study that they describe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.records.run import TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.study.define.ood import parse_ood
from holdfast.study.define.study_file import StudyFile, from_options, read_study


def study_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given``, options, with those that are lists or parts of a key in the form of the study's.

    Raises ``HoldfastError`` for seeds and numbers of rows that cannot be read.
    """
    names = {"rows": "probe_rows", "seeds": "probe_seeds", "layer": "probe_layer", "pooling": "pooling"}
    probe = {key: given[name] for key, name in names.items() if given.get(name) is not None}
    ood, probed = given.get("ood"), given.get("probed")
    methods = given.get("methods")
    return {
        **given,
        "methods": [*([] if methods is None else [methods]), *(given.get("method") or [])],
        "seeds": number_list(given.get("seeds"), "--seeds", "seeds"),
        "data_seeds": number_list(given.get("data_seeds"), "--data-seeds", "seeds"),
        "train_size": number_list(given.get("train_size"), "--train-size", "rows"),
        "ood": parse_ood(ood) if ood is not None else None,
        "probed": [{"source": name} for name in task_names(probed, "--probe")] if probed is not None else None,
        "probe": probe or None,
        "references": False if given.get("no_references") else None,
    }


def read_data(data: Sequence[str | TaskSpec], given: Mapping[str, Any]) -> tuple[StudyFile, Path | None]:
    """Return the study that DATA and options describe, and the study file where DATA is one.

    Raises ``HoldfastError`` for options that do not fit DATA or each other.
    """
    columns = task_options(given)
    files = [item for item in data if isinstance(item, str) and Path(item).suffix.lower() in (".yaml", ".yml")]
    if not files:
        for name in ("validation", "test"):
            if name in columns and len(data) > 1:
                raise HoldfastError(
                    f"--{name} belongs to one DATA and there are {len(data)}; list them in a study file"
                )
        tasks = [_task(item, columns) for item in data]
        return from_options({"tasks": tasks, **study_options(given)}), None
    if len(data) > 1:
        names = ", ".join(item if isinstance(item, str) else item.source for item in data)
        raise HoldfastError(f"{names}: a study file stands alone; list the tasks in it")
    path = Path(files[0])
    if columns:
        raise HoldfastError(f"{_first(columns)} says how to read DATA; put it into {path}")
    return read_study(path, study_options(given)), path


def read_tune(data: str | TaskSpec, given: Mapping[str, Any]) -> StudyFile:
    """Return the study of one run that DATA and options, with one ``method``, ``seed`` and ``data_seed``, describe.

    Raises ``HoldfastError`` as ``read_data`` does, and for a study file and several methods.
    """
    from holdfast import methods

    data_seed = given.get("data_seed")
    keys = {
        "methods": [given["method"]],
        "seeds": [given["seed"]],
        "data_seeds": None if data_seed is None else [data_seed],
    }
    study, study_file = read_data([data], {**given, **keys})
    if study_file is not None:
        raise HoldfastError(f"{data}: tune does one run, on a task, file or folder; give a study file to compare")
    if len(methods.split(given["method"])) > 1:
        raise HoldfastError(f"--method {given['method']}: tune does one run; join methods with + or choose one of them")
    return study


def study_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``StudyFile`` that options set; options not given are None or, but for references, False."""
    options = {name: given[name] for name in StudyFile.model_fields if _set(given.get(name))}
    if given.get("references") is False:
        options["references"] = False
    encoder = options.get("seq2seq_from_encoder")
    if isinstance(encoder, str):
        if "model" in options:
            raise HoldfastError(f"--model and --seq2seq-from-encoder {encoder}: both name a model; give one of them")
        options |= {"model": encoder, "seq2seq_from_encoder": True}
    elif "model" in options:
        # One takes the place of the other, also of one in a study file.
        options["seq2seq_from_encoder"] = False
    settings = {name: given[name] for name in TrainingSettings.model_fields if _set(given.get(name))}
    return {**options, "settings": settings} if settings else options


def task_spec(data: str | TaskSpec, given: Mapping[str, Any]) -> TaskSpec:
    """Return the task that DATA and options describe. Raises ``HoldfastError`` for values that do not fit."""
    return from_options({"tasks": [_task(data, task_options(given))]}).tasks[0]


def _task(data: str | TaskSpec, columns: Mapping[str, Any]) -> TaskSpec | dict[str, Any]:
    if isinstance(data, str):
        return {"source": data, **columns}
    if columns:
        raise HoldfastError(f"{_first(columns)} says how to read DATA; put it into the TaskSpec of {data.source}")
    return data


def _first(columns: Mapping[str, Any]) -> str:
    return f"--{next(iter(columns)).replace('_', '-')}"


def task_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``TaskSpec``, apart from its source, that options set."""
    values: dict[str, Any] = {name: given.get(name) for name in TaskSpec.model_fields if _set(given.get(name))}
    if "read" in values and not isinstance(values["read"], Mapping):
        values["read"] = read_pairs(values["read"])
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return ``["header=no"]`` of ``--read`` as a dict.

    Raises ``HoldfastError`` for another form, and for a key given twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value:
            raise HoldfastError(f"--read {text!r}: give a key and a value, such as header=no")
        if key.strip() in pairs:
            raise HoldfastError(f"--read {key.strip()} is given twice; keep one")
        pairs[key.strip()] = value
    return pairs


def task_names(text: str, option: str) -> list[str]:
    """Return the tasks that ``option`` lists, separated by commas. Raises ``HoldfastError`` where one has no name."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise HoldfastError(f"{option} {text!r}: a name is missing; separate tasks by single commas")
    return names


def number_list(text: str | int | Sequence[int] | None, option: str, of: str) -> int | list[int] | None:
    """Return ``"5"`` as a number and ``"0,3,8"`` as a list of numbers; ``of`` says of what, for messages."""
    if text is None or isinstance(text, int):
        return text
    if not isinstance(text, str):
        return list(text)
    try:
        # "42," is seed 42 alone, where "42" is 42 seeds.
        return [int(part) for part in text.removesuffix(",").split(",")] if "," in text else int(text)
    except ValueError:
        raise HoldfastError(
            f"{option}: {text!r} is neither a number of {of}, such as 5, nor a list, such as {_LISTS[of]}"
        ) from None


_LISTS = {"seeds": "0,3,8", "rows": "100,300,1000"}


def _set(value: Any) -> bool:
    return value is not None and value is not False and value not in ([], ())
