"""Tiny random models of the architectures Holdfast promises to work on."""

import torch
import transformers as t
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

VOCABULARY, PAD = 97, 1

ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": PAD,
}


def _dropout(p, *names):
    return dict.fromkeys(names, p)


def _bert(p, k):
    d = _dropout(p, "hidden_dropout_prob", "attention_probs_dropout_prob")
    return t.BertForSequenceClassification(t.BertConfig(**ENCODER, **d, **k))


def _roberta(p, k):
    d = _dropout(p, "hidden_dropout_prob", "attention_probs_dropout_prob")
    return t.RobertaForSequenceClassification(t.RobertaConfig(**ENCODER, **d, **k))


def _deberta(p, k):
    d = _dropout(p, "hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout", "cls_dropout")
    v3 = {
        "relative_attention": True,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    }
    return t.DebertaV2ForSequenceClassification(t.DebertaV2Config(**ENCODER, **v3, **d, **k))


def _distilbert(p, k):
    c = t.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=48,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=PAD,
        **_dropout(p, "dropout", "attention_dropout", "seq_classif_dropout"),
        **k,
    )
    return t.DistilBertForSequenceClassification(c)


def _electra(p, k):
    d = _dropout(p, "hidden_dropout_prob", "attention_probs_dropout_prob")
    return t.ElectraForSequenceClassification(t.ElectraConfig(**ENCODER, embedding_size=16, **d, **k))


def _modernbert(p, k):
    d = _dropout(p, "attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout")
    c = t.ModernBertConfig(
        **ENCODER,
        **d,
        **k,
        bos_token_id=2,
        cls_token_id=2,
        eos_token_id=3,
        sep_token_id=3,
        global_attn_every_n_layers=2,
        local_attention=8,
        reference_compile=False,
        attn_implementation="eager",
    )
    return t.ModernBertForSequenceClassification(c)


def _gpt2(p, k):
    c = t.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.2,
        pad_token_id=PAD,
        **_dropout(p, "embd_pdrop", "attn_pdrop", "resid_pdrop"),
        **k,
    )
    return t.GPT2ForSequenceClassification(c)


def _llama(p, k):
    c = t.LlamaConfig(**ENCODER, num_key_value_heads=2, attention_dropout=p, **k)
    return t.LlamaForSequenceClassification(c)


def _bart(p, k):
    return t.BartForSequenceClassification(bart_config(p, **k))


def _t5(p, k):
    return t.T5ForSequenceClassification(t5_config(p, **k))


def bart_config(p, **k):
    return t.BartConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=64,
        init_std=0.2,
        pad_token_id=PAD,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=None,
        **_dropout(p, "dropout", "attention_dropout", "activation_dropout", "classifier_dropout"),
        **k,
    )


def t5_config(p, **k):
    return t.T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=2,
        dropout_rate=p,
        classifier_dropout=p,
        pad_token_id=PAD,
        eos_token_id=3,
        decoder_start_token_id=PAD,
        **k,
    )


_BUILDERS = {
    "bert": _bert,
    "roberta": _roberta,
    "deberta_v3": _deberta,
    "distilbert": _distilbert,
    "electra": _electra,
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "llama": _llama,
    "bart": _bart,
    "t5": _t5,
}
CLASSIFIERS = tuple(_BUILDERS)
DECODERS = ("gpt2", "llama")


def classifier(name="bert", dropout=0.0, seed=0, labels=2, problem="single_label_classification"):
    """A random classifier, in training mode."""
    torch.manual_seed(seed)
    return _BUILDERS[name](dropout, {"num_labels": labels, "problem_type": problem}).train()


def batch(rows=4, tokens=10, seed=0, padding="right", labels=2, eos=True):
    """Token ids with ragged padding on one side, mask and class labels."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, VOCABULARY, (rows, tokens), generator=g)
    mask = torch.ones_like(ids)
    lengths = [tokens] + [int(torch.randint(4, tokens + 1, (1,), generator=g)) for _ in range(rows - 1)]
    for row, length in enumerate(lengths):
        if eos:
            ids[row, length - 1] = 3
        cut = slice(length, None) if padding == "right" else slice(None, tokens - length)
        if padding == "left" and eos:
            ids[row, length - 1] = 5
            ids[row, -1] = 3
        ids[row, cut], mask[row, cut] = PAD, 0
    y = torch.randint(0, labels, (rows,), generator=g)
    return {"input_ids": ids, "attention_mask": mask, "labels": y}


def rows(count, **options):
    """The rows of a ``batch``, as a dataset."""
    data = batch(rows=count, **options)
    return [{key: value[row] for key, value in data.items()} for row in range(count)]


WORDS = ["good", "bad", "fine", "poor", "film", "meal", "trip", "a", "the", "was", "very", "not"]


def tokenizer(*more):
    """A word-level tokenizer of the models' size, with the ids that ``batch`` uses; ``more`` are its last words."""
    marks = {
        "bos_token": "[BOS]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "eos_token": "[EOS]",
        "mask_token": "[MASK]",
    }
    words = [*marks.values(), *(f"word{index}" for index in range(VOCABULARY - len(marks) - len(more))), *more]
    raw = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}))
    return t.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **marks)


def save_model(folder, name="bert", **options):
    """Write a tiny model with a word-level tokenizer over WORDS; return its path."""
    words = {word: index for index, word in enumerate(["[UNK]", "[PAD]", "[CLS]", "[SEP]", *WORDS])}
    raw = Tokenizer(WordLevel(words, "[UNK]"))
    raw.pre_tokenizer = Whitespace()
    marks = [("[CLS]", 2), ("[SEP]", 3)]
    raw.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    t.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **special).save_pretrained(folder)
    classifier(name, dropout=0.1, **options).save_pretrained(folder)
    return str(folder)
