"""Tiny random models that write, saved with their tokenizer, and a task of texts to write."""

import numpy as np
import torch
import transformers as t
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from holdfast.records.run import RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.tasks.task import Split, Task
from tiny import ENCODER, WORDS, bart_config, t5_config

PAD, START, END = 1, 2, 3
VOCABULARY = [*"UPSE", *WORDS]


def tokenizer(**marks):
    """Words over WORDS between a start and an end token, as BERT and BART have them."""
    raw = Tokenizer(WordLevel({word: index for index, word in enumerate(VOCABULARY)}, "U"))
    raw.pre_tokenizer = Whitespace()
    raw.post_processor = TemplateProcessing(
        single="S $A E", pair="S $A E $B:1 E:1", special_tokens=[("S", START), ("E", END)]
    )
    given = {"unk_token": "U", "pad_token": "P", "cls_token": "S", "sep_token": "E", "eos_token": "E", **marks}
    return t.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **given)


def made(name, dropout=0.0, seed=0):
    torch.manual_seed(seed)
    drop = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    match name:
        case "bart":
            return t.BartForConditionalGeneration(bart_config(dropout))
        case "t5":
            return t.T5ForConditionalGeneration(t5_config(dropout))
        case "gpt2":
            config = t.GPT2Config(
                vocab_size=97, n_embd=32, n_layer=2, n_head=2, n_positions=64, initializer_range=0.2, pad_token_id=PAD,
                bos_token_id=START, eos_token_id=END, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout,
            )  # fmt: skip
            return t.GPT2LMHeadModel(config)
        case "llama":
            sizes = {**ENCODER, "num_key_value_heads": 2, "attention_dropout": dropout}
            return t.LlamaForCausalLM(t.LlamaConfig(**sizes, bos_token_id=START, eos_token_id=END))
        case "bert":
            return t.BertModel(t.BertConfig(**ENCODER, **drop))
        case "roberta":
            return t.RobertaForMaskedLM(t.RobertaConfig(**ENCODER, **drop, bos_token_id=START, eos_token_id=END))
        case "distilbert":
            config = t.DistilBertConfig(vocab_size=97, dim=32, n_layers=1, n_heads=2, hidden_dim=48, pad_token_id=PAD)
            return t.DistilBertForMaskedLM(config)
    raise ValueError(name)


def save(folder, name, dropout=0.0, marks=(), **generation):
    model = made(name, dropout)
    if generation:
        model.generation_config.update(**generation)
    model.save_pretrained(folder)
    tokenizer(**dict(marks)).save_pretrained(folder)
    return str(folder)


def of(text):
    return [VOCABULARY.index(word) for word in text.split()]


def split(rows, seed, several=False, labelled=True):
    """The text to write is the first word and the last one."""
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, size=draw.integers(2, 8))) for _ in range(rows)]
    targets = [f"{text.split()[0]} {text.split()[-1]}" for text in texts]
    references = [[target, *["a meal"] * (i % 3)] for i, target in enumerate(targets)] if several else None
    ids = [f"row-{index}" for index in range(rows)]
    return Split(texts, None, targets if labelled else None, ids, references=references)


def task(train=10, **splits):
    given = {"train": split(train, 0), "validation": split(6, 1), **splits}
    return Task("ends", "generation", given, (), ("rougeL", "rouge1", "rouge2"), fingerprint="f")


def spec(model, method="vanilla", **changes):
    values = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "max_length": 12, "max_target_length": 6}
    settings = TrainingSettings(**{**values, **changes.pop("settings", {})})
    defaults = {"seed": 0, "data_seed": 0, "data": "f", "task": TaskSpec(source="ends")}
    return RunSpec(model=model, method=method, settings=settings, **(defaults | changes))


def plainly_written(model, read, texts):
    """What a loaded model writes, one text at a time, by no more than Transformers."""
    written = []
    with torch.no_grad():
        for text in texts:
            inputs = read(text, return_tensors="pt")
            ids = model.eval().generate(inputs.input_ids, attention_mask=inputs.attention_mask)
            written.append(read.decode(ids[0], skip_special_tokens=True))
    return written
