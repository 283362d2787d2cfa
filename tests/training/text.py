"""Language models, tokenizers and text for the tests of training without labels."""

import contextlib

import torch
import transformers as t

from holdfast.training.pretraining.self_supervised import Text
from tiny import batch, tokenizer

SENTINELS = tuple(f"<extra_id_{index}>" for index in range(20))
CAUSAL = {"gpt2": t.GPT2LMHeadModel, "llama": t.LlamaForCausalLM}
MASKED = {
    "bert": t.BertForMaskedLM,
    "roberta": t.RobertaForMaskedLM,
    "deberta_v3": t.DebertaV2ForMaskedLM,
    "distilbert": t.DistilBertForMaskedLM,
    "electra": t.ElectraForMaskedLM,
    "modernbert": t.ModernBertForMaskedLM,
}


def text_tokenizer():
    """With mask token and sentinels."""
    return tokenizer(*SENTINELS)


def sequences(rows, tokens=12, seed=0):
    """Rows in which every token is the one before it plus 3: a language that can be learned."""
    start = torch.randint(0, 60, (rows, 1), generator=torch.Generator().manual_seed(seed))
    ids = 5 + (start + 3 * torch.arange(tokens)) % 60
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def text(batches, accumulation=1, tokens=None):
    """The text of a list of batches, which every pass gives in the same order."""
    found = text_tokenizer() if tokens is None else tokens
    return Text(lambda: iter(batches), len(batches), accumulation, found, contextlib.nullcontext)


def padded(rows=6, tokens=12, seed=0, side="right"):
    """As ``tiny.batch``, without labels."""
    found = batch(rows, tokens, seed, side)
    del found["labels"]
    return found
