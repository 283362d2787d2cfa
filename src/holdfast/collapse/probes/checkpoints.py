"""Checkpoints to be probed: whether they can be, and where their files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from, and what may be done to load it."""

    source: str
    """Folder, hub id or short name."""
    revision: str | None = None
    remote_code: bool = False
    pickled_weights: bool = False

    def load(self) -> tuple[Any, Any]:
        """Return the model as a sequence classifier, whose head means nothing, and its tokenizer."""
        from holdfast.training.models.loading import load_model, load_tokenizer

        model = load_model(
            self.source, 2, (), self.revision, remote_code=self.remote_code, pickled_weights=self.pickled_weights
        )
        return model, load_tokenizer(self.source, self.revision, self.remote_code)

    def check(self) -> None:
        """Raise ``HoldfastError`` where there is no model that may be loaded, or no tokenizer."""
        from holdfast.training.models.loading import check_model, load_tokenizer

        check_model(self.source, self.revision, self.remote_code, self.pickled_weights)
        load_tokenizer(self.source, self.revision, self.remote_code)

    def files(self) -> Path:
        """Return the folder with the model's files; those of the hub are fetched where they are not cached."""
        from transformers.utils.hub import cached_file

        from holdfast.training.models.loading import only_local, resolve

        source = resolve(self.source)
        folder = Path(source).expanduser()
        if folder.is_dir():
            return folder

        def snapshot() -> Path:
            found = cached_file(source, "config.json", revision=self.revision, local_files_only=only_local(source))
            return Path(str(found)).parent

        if not any(any(snapshot().glob(pattern)) for pattern in ("*.safetensors", "*.bin")):
            self.load()
        return snapshot()


def refuse_other_bodies(pretrained: ModelSource, checkpoints: list[ModelSource]) -> None:
    """Raise ``HoldfastError`` where a checkpoint differs from ``pretrained`` in kind, depth or width."""
    start = _body(pretrained)
    for checkpoint in checkpoints:
        body = _body(checkpoint)
        if body != start:
            raise HoldfastError(
                f"{checkpoint.source} is {_told(body)}, and --pretrained {pretrained.source} is {_told(start)}: "
                "give --pretrained the model that the checkpoint was tuned from"
            )


def _body(model: ModelSource) -> tuple[str, int | None, int | None]:
    from holdfast.training.models.loading import classifier_config

    config = classifier_config(model.source, 2, (), model.revision, model.remote_code)
    inner = config.get_text_config()
    return config.model_type, getattr(inner, "num_hidden_layers", None), getattr(inner, "hidden_size", None)


def _told(body: tuple[str, int | None, int | None]) -> str:
    kind, layers, width = body
    return kind + (f" of {layers} layers" if layers else "") + (f" and width {width}" if width else "")
