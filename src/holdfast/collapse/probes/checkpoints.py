"""Checkpoints to be probed: whether they can be, and where their files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource


def load_classifier(source: ModelSource) -> tuple[Any, Any]:
    """Return the model as a sequence classifier, whose head means nothing, and its tokenizer."""
    from holdfast.training.models.loading import load_model, load_tokenizer

    return load_model(source, 2), load_tokenizer(source)


def check_checkpoint(source: ModelSource) -> None:
    """Raise ``HoldfastError`` where there is no model that may be loaded, or no tokenizer."""
    from holdfast.training.models.loading import check_model, load_tokenizer

    check_model(source)
    load_tokenizer(source)


def model_files(source: ModelSource) -> Path:
    """Return the folder with the model's files; those of the hub are fetched where they are not cached."""
    from transformers.utils.hub import cached_file

    from holdfast.training.models.loading import only_local, resolve

    place = resolve(source.name)
    if Path(place).is_dir():
        return Path(place)

    def snapshot() -> Path:
        config = cached_file(place, "config.json", revision=source.revision, local_files_only=only_local(place))
        return Path(str(config)).parent

    if not any(any(snapshot().glob(pattern)) for pattern in ("*.safetensors", "*.bin")):
        load_classifier(source)
    return snapshot()


def refuse_other_bodies(pretrained: ModelSource, checkpoints: list[ModelSource]) -> None:
    """Raise ``HoldfastError`` where a checkpoint differs from ``pretrained`` in kind, depth or width."""
    start = _body(pretrained)
    for checkpoint in checkpoints:
        body = _body(checkpoint)
        if body != start:
            raise HoldfastError(
                f"{checkpoint.name} is {_described(body)}, and --pretrained {pretrained.name} is {_described(start)}: "
                "give --pretrained the model that the checkpoint was tuned from"
            )


def _body(model: ModelSource) -> tuple[str, int | None, int | None]:
    from holdfast.training.models.loading import model_config

    config = model_config(model)
    inner = config.get_text_config()
    return config.model_type, getattr(inner, "num_hidden_layers", None), getattr(inner, "hidden_size", None)


def _described(body: tuple[str, int | None, int | None]) -> str:
    kind, layers, width = body
    return kind + (f" of {layers} layers" if layers else "") + (f" and width {width}" if width else "")
