"""The lines in a model card load and run the saved model, whatever it is for."""

import ast
import contextlib
import io

import pytest
import torch
import transformers as t
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from holdfast.report.card import model_card
from holdfast.report.loading import loading, pipeline_tag
from report.studies import record
from tiny import ENCODER, bart_config

WORDS = ["[UNK]", "[PAD]", "[CLS]", "[END]", "A", "text", "prompt", ".", "One", "Another", "one", "choice"]
NAMES = {"id2label": {0: "O", 1: "B-PER"}, "label2id": {"O": 0, "B-PER": 1}}


def tagger():
    return t.BertForTokenClassification(t.BertConfig(**ENCODER, **NAMES))


def chooser():
    return t.BertForMultipleChoice(t.BertConfig(**ENCODER))


def rewriter():
    return t.BartForConditionalGeneration(bart_config(0.0))


def pair():
    decoder = t.BertConfig(**ENCODER, is_decoder=True, add_cross_attention=True)
    config = t.EncoderDecoderConfig.from_encoder_decoder_configs(t.BertConfig(**ENCODER), decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 1, 3
    return t.EncoderDecoderModel(config)


def continuer():
    return t.LlamaForCausalLM(t.LlamaConfig(**ENCODER, num_key_value_heads=2, bos_token_id=2, eos_token_id=3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "make", "tag"),
    [
        ("TokenClassifier", tagger, "token-classification"),
        ("MultipleChoice", chooser, "multiple-choice"),
        ("Seq2Seq", rewriter, "text2text-generation"),
        ("EncoderDecoder", pair, "text2text-generation"),
        ("CausalLM", continuer, "text-generation"),
    ],
)
def test_the_lines_run_on_the_saved_model(tmp_path, monkeypatch, form, make, tag):
    torch.manual_seed(0)
    model = make()
    if model.can_generate():
        model.generation_config.max_length, model.generation_config.max_new_tokens = None, 4
    model.save_pretrained(tmp_path)
    raw = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    raw.pre_tokenizer = Whitespace()
    marks = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "eos_token": "[END]"}
    t.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **marks).save_pretrained(tmp_path)
    made = record("r3f", 0, "mine.csv", form=form)
    lines = loading(made, False, False)
    assert f"```python\n{lines}\n```" in model_card(None, made, None)
    assert pipeline_tag(made) == tag
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, "card", "exec"), {})
    said = printed.getvalue().strip()
    if form == "MultipleChoice":
        assert said in ("One choice.", "Another one.")
        return
    answer = ast.literal_eval(said)
    assert len(answer) == (3 if form == "TokenClassifier" else 1)
    if form == "TokenClassifier":
        assert set(answer) <= {"O", "B-PER"}
        return
    ids = torch.tensor([[WORDS.index(word) for word in ("A", "prompt" if form == "CausalLM" else "text", ".")]])
    with torch.no_grad():
        written = model.eval().generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4)[0]
    written = written[3:] if form == "CausalLM" else written[1:]
    expected = " ".join(WORDS[int(one)] for one in written if 3 < int(one) < len(WORDS))
    assert [token for token in answer[0].split() if not token.startswith("[")] == expected.split()


def test_named_tasks_that_ask_for_a_text_ask_for_a_summary():
    assert pipeline_tag(record("r3f", 0, "gigaword", form="EncoderDecoder")) == "summarization"
    assert pipeline_tag(record("r3f", 0, "gigaword", form="CausalLM")) == "text-generation"
    assert pipeline_tag(record("r3f", 0)) == "text-classification"
