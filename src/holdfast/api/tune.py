"""``holdfast.tune``: one run, for its model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from holdfast.api.arguments import Data, RunOptions, check_options, naming_arguments, source
from holdfast.api.logs import log_remarks
from holdfast.records.run import RunRecord
from holdfast.study.define.options import read_tune
from holdfast.training.quiet import quiet

if TYPE_CHECKING:
    from holdfast.methods.base import Method


@dataclass(frozen=True)
class Tuned:
    """A tuned model, as ``holdfast.tune`` leaves it.

    Example:
        >>> tuned = holdfast.tune("tickets.csv", "r3f", max_steps=2, out="tickets-model")
        >>> sorted(path.name for path in tuned.folder.iterdir())[:3]
        ['README.md', 'config.json', 'model.safetensors']
    """

    folder: Path
    """An ordinary checkpoint with its tokenizer, a model card, ``record.json`` and ``predictions.npz``."""
    record: RunRecord
    """What came of the run: ``record.metrics[record.primary]`` on ``record.scored_split``."""


def tune(
    data: Data,
    method: "str | Method" = "r3f",
    *,
    out: str | Path | None = None,
    model: str | PathLike[str] | None = None,
    seed: int = 0,
    data_seed: int | None = None,
    train_size: int | None = None,
    data_dir: str | Path | None = None,
    **options: Unpack[RunOptions],
) -> Tuned:
    """Fine-tune one model with one method, in this process, and save it as an ordinary checkpoint.

    The same as ``holdfast tune``. One run says little about a method; ``holdfast.compare`` tells which to use. Seeds
    the process's random numbers. Notes and warnings about the data go to the logger ``holdfast``.

    Args:
        data: As in ``holdfast.load_task``.
        method: A method, or its text, such as ``"r3f(weight=0.5)"``; several are joined by ``+``.
        out: Folder for the model, which must be empty or not there; None takes ``holdfast-models/<task>``.
        model: Pre-trained model: ``minilm``, a folder, or a hub id; None takes ``minilm``.
        seed: Seed of head, dropout and noise.
        data_seed: Order of the training rows; None takes ``seed``.
        train_size: Rows drawn from the training split; None takes all.
        data_dir: As in ``holdfast.load_task``.
        **options: How data are read, as in ``holdfast.load_task``; how the run trains, as in ``TrainingSettings``
            (``epochs``, ``learning_rate``, …); ``subset_seed``, ``threads``, ``revision``, ``seq2seq_from_encoder``,
            ``remote_code`` and ``pickled_weights`` as the command's options of these names.

    Returns:
        The model's folder, and the run's record.

    Raises:
        HoldfastError: For anything the user must mend first, naming the argument; nothing is written then.

    Example:
        >>> from holdfast import R3F
        >>> tuned = holdfast.tune("tickets.csv", R3F(weight=0.5), learning_rate=2e-5, max_steps=2)
        >>> tuned.record.spec.method, tuned.record.steps, tuned.record.primary
        ('r3f(weight=0.5)', 2, 'accuracy')
        >>> model = AutoModelForSequenceClassification.from_pretrained(tuned.folder)
    """
    from holdfast.methods import describe
    from holdfast.report.card import model_card
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.run.tune import check_free, default_folder
    from holdfast.study.run.tune import tune as tune_one

    check_options(options, RunOptions.__optional_keys__)
    given: dict[str, Any] = {
        **options,
        "method": method if isinstance(method, str) else describe([method]),
        "model": model,
        "seed": seed,
        "data_seed": data_seed,
        "train_size": train_size,
    }
    with naming_arguments():
        study = read_tune(source(data), given)
        with quiet(), _threads(options.get("threads")):
            prepared = prepare(study, None if data_dir is None else Path(data_dir))
            folder = default_folder(prepared) if out is None else Path(out)
            check_free(folder)
            log_remarks(prepared)
            record = tune_one(prepared, folder, lambda record: model_card(None, record, None), lambda progress: None)
    return Tuned(folder, record)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads meanwhile; None leaves it."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
