"""The head of a model card: what the Hugging Face hub reads, and the names it needs."""

import re
from pathlib import Path

import yaml

from holdfast.records.run import RunRecord
from holdfast.report.loading import pipeline_tag
from holdfast.tasks.catalogue import NAMED
from holdfast.training.models.loading import PACKAGED
from holdfast.wording import clean

# The hub's names for the metrics, where they differ from Holdfast's.
_METRICS = {
    "macro_f1": "f1", "entity_f1": "seqeval", "matthews": "matthews_correlation", "pearson": "pearsonr",
    "spearman": "spearmanr", "rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge", "rougeLsum": "rouge",
}  # fmt: skip
_HUB_MODEL = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
_HUB_DATA = re.compile(r"([\w.-]+/[\w.-]+)(?::.*)?")


def front_matter(record: RunRecord) -> str:
    """Return the YAML block, delimiters included."""
    from holdfast.methods import parse

    values: dict[str, object] = {"library_name": "transformers", "pipeline_tag": pipeline_tag(record)}
    if base_model(record):
        values |= {"base_model": base_model(record), "base_model_relation": "finetune"}
    values["license"] = "unknown"
    values["tags"] = ["holdfast", *(method.name for method in parse(record.spec.method))]
    if dataset(record):
        values["datasets"] = [dataset(record)]
    values["metrics"] = list(dict.fromkeys(_METRICS.get(metric, clean(metric)) for metric in record.metrics))
    written = yaml.safe_dump(
        {key: value for key, value in values.items() if value}, sort_keys=False, allow_unicode=True
    )
    return f"---\n{written}---"


def base_model(record: RunRecord) -> str | None:
    """Return the hub id of the model that was fine-tuned, or None when it came from a folder."""
    name = record.spec.model
    if name in PACKAGED:
        return PACKAGED[name][2]
    return name if _HUB_MODEL.fullmatch(name) and not Path(name).exists() else None


def model_name(record: RunRecord) -> str:
    """Return what to call the model that was fine-tuned: its hub id, or its folder's name without the path."""
    return base_model(record) or Path(record.spec.model).name


def dataset(record: RunRecord) -> str | None:
    """Return the hub id of the data, or None when they were local or generated."""
    source = record.spec.task.source
    if source in NAMED:
        source = NAMED[source].hub or ""
    elif source.startswith("playground/") or Path(source).exists():
        return None
    hub = _HUB_DATA.fullmatch(source)
    return hub.group(1) if hub else None
