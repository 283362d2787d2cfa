"""Adapters of PEFT in a folder of their own: merged into the model that they name, an ordinary one from then on."""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of

ADAPTERS = "adapter_config.json"
"""The file by which PEFT knows a folder of adapters."""

_SAFE, _PICKLED = "adapter_model.safetensors", "adapter_model.bin"
_OUTSIDE = "base_model.model."
"""What PEFT puts before the names of a model's weights."""
BY_HAND = (
    "merge them where they were trained, model.merge_and_unload().save_pretrained(FOLDER), with the tokenizer, and "
    "give that folder"
)
"""The remedy where they cannot be merged here."""


def has_adapters(source: str) -> bool:
    """Return whether ``source`` is a folder of adapters."""
    return (Path(source) / ADAPTERS).is_file()


def base_of(source: str) -> tuple[str, str | None]:
    """Return the model that the adapters in the folder ``source`` are for, and its revision.

    Raises ``HoldfastError`` where none is named.
    """
    try:
        adapters = json.loads((Path(source) / ADAPTERS).read_text(encoding="utf-8"))
        base, revision = adapters.get("base_model_name_or_path"), adapters.get("revision")
    except (ValueError, OSError, AttributeError) as problem:
        raise HoldfastError(f"model folder {source}: {ADAPTERS} cannot be read ({problem})") from problem
    if not base:
        raise HoldfastError(
            f"model folder {source}: it holds adapters alone, and {ADAPTERS} does not name their base model; name it "
            "there as base_model_name_or_path"
        )
    return base, revision


def check_adapters(folder: Path, pickled_weights: bool) -> None:
    """Raise ``HoldfastError`` where the adapters in ``folder`` may not or cannot be read, or stand beside a model."""
    if any(folder.glob("model*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        raise HoldfastError(
            f"model folder {folder}: it holds both a model and adapters ({ADAPTERS}); take away those that are not "
            "meant, or what was merged already"
        )
    if not (folder / _SAFE).is_file():
        if not (folder / _PICKLED).is_file():
            raise HoldfastError(f"model folder {folder}: it names adapters ({ADAPTERS}) and lacks their {_SAFE}")
        if not pickled_weights:
            raise HoldfastError(
                f"model folder {folder}: its adapters are pickled and could run code when read; save them as "
                "safetensors, or pass --pickled-weights if you trust them"
            )
    if find_spec("peft") is None:
        raise HoldfastError(
            f'model folder {folder}: it holds adapters, which PEFT merges: pip install "holdfast[lora]"; or {BY_HAND}'
        )


def merge_adapters(model: Any, folder: Path) -> None:
    """Merge the adapters in ``folder`` into ``model``, their base as loaded, which stays as plain as it was.

    A head for classes that came with them is left out: no file says what its outputs mean. The global random
    generators stay as they are. Raises ``HoldfastError`` where the adapters are not ones to merge or do not fit.
    """
    import peft

    config = peft.PeftConfig.from_pretrained(str(folder))
    if config.is_prompt_learning:
        raise HoldfastError(
            f"model folder {folder}: its adapters ({config.peft_type.value}) are prompts, which cannot be merged into "
            "a model; give a model that was tuned in its weights, or with LoRA"
        )
    target, weights = _fit(model, peft.load_peft_weights(str(folder), device="cpu"))
    saved = [name for name in config.modules_to_save or () if any(f".{name}." in f".{key}" for key in weights)]
    config.modules_to_save = saved or None
    # Each kind of task would add a head of its own.
    config.task_type = None
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # They are about training adapters, and about Transformers.
            warnings.simplefilter("ignore")
            wrapped = peft.get_peft_model(target, config)
        read: Any = peft.set_peft_model_state_dict(wrapped, weights)
    except (ValueError, RuntimeError, KeyError) as problem:
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise HoldfastError(
            f"model folder {folder}: its adapters do not fit {type(model).__name__} ({line}); {BY_HAND}"
        ) from problem
    if read.unexpected_keys or not weights:
        example = (read.unexpected_keys or ["none"])[0]
        raise HoldfastError(
            f"model folder {folder}: its adapters do not fit {type(model).__name__}, such as {example}; {BY_HAND}"
        )
    wrapped.merge_and_unload()
    # PEFT freezes what it wraps.
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def _fit(model: Any, weights: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Return the module that adapters go into, and their weights by the names that they have there.

    They may have been trained on a model with a head, or on a body alone.
    """
    body, inside = body_of(model), f"{model.base_model_prefix}."
    plain = {key.removeprefix(_OUTSIDE): value for key, value in weights.items()}
    with_head = any(key.startswith(inside) for key in plain)
    if not with_head:
        fitting, target = plain, body
    elif body is model:
        fitting, target = {k.removeprefix(inside): v for k, v in plain.items() if k.startswith(inside)}, body
    else:
        writes = getattr(model, "get_output_embeddings", lambda: None)() is not None
        fitting, target = {k: v for k, v in plain.items() if writes or k.startswith(inside)}, model
    return target, {f"{_OUTSIDE}{key}": value for key, value in fitting.items()}
