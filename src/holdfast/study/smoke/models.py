"""Tiny random models of the recipes' architectures, with a tokenizer, written as ordinary checkpoints."""

from pathlib import Path
from typing import Any

from holdfast.study.smoke.data import WORDS

_MARKS = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
_START, _PAD, _END = 0, 1, 2
_POSITIONS = 64
_SEED = 0


def write_model(architecture: str, folder: Path) -> None:
    """Write a model and its tokenizer into ``folder``: ``bert``, ``roberta``, ``xlm-roberta`` or ``bart``.

    The same architecture gives the same weights; the global random state is left as it was.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        model = _bart() if architecture == "bart" else _encoder(architecture)
    model.save_pretrained(folder)
    _tokenizer(segments=architecture == "bert").save_pretrained(folder)


def _encoder(architecture: str) -> Any:
    import transformers

    prefix, kind = {
        "bert": ("Bert", "BertForPreTraining"),
        "roberta": ("Roberta", "RobertaForMaskedLM"),
        "xlm-roberta": ("XLMRoberta", "XLMRobertaForMaskedLM"),
    }[architecture]
    config = getattr(transformers, f"{prefix}Config")(
        vocab_size=len(_MARKS) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        # RoBERTa counts positions from the padding's number on.
        max_position_embeddings=_POSITIONS + _PAD + 1,
        type_vocab_size=2 if architecture == "bert" else 1,
        bos_token_id=_START,
        pad_token_id=_PAD,
        eos_token_id=_END,
    )
    return getattr(transformers, kind)(config)


def _bart() -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(_MARKS) + len(WORDS),
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=_POSITIONS,
            bos_token_id=_START,
            pad_token_id=_PAD,
            eos_token_id=_END,
            decoder_start_token_id=_END,
            forced_eos_token_id=_END,
        )
    )


def _tokenizer(segments: bool) -> Any:
    """A token a word; ``segments``: the second text of a pair is marked as such."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate([*_MARKS.values(), *WORDS])}
    raw = Tokenizer(WordLevel(words, _MARKS["unk_token"]))
    raw.pre_tokenizer = Whitespace()
    raw.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1" if segments else "<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", _START), ("</s>", _END)],
    )
    kind: Any = PreTrainedTokenizerFast
    return kind(
        tokenizer_object=raw,
        model_max_length=_POSITIONS,
        cls_token=_MARKS["bos_token"],
        sep_token=_MARKS["eos_token"],
        **_MARKS,
    )
