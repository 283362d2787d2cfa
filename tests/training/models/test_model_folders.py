"""What is said of folders that hold no whole model: no tokenizer, no weights, a model further in."""

import json

import pytest
import transformers as t
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece

from holdfast import HoldfastError
from holdfast.cli.main import main
from holdfast.records.model_source import ModelSource
from holdfast.training.models import loading as models
from holdfast.training.models.loading import check_model, load_tokenizer
from holdfast.training.run.check import check_lengths
from tiny import CLASSIFIERS, classifier, save_model, t5_config


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(models, "_hub_is_out_of_reach", lambda: True)


def tiny_config(kind):
    return kind(vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48)


CONFIGS = {name: lambda name=name: classifier(name).config for name in CLASSIFIERS} | {
    "xlm-r": lambda: tiny_config(t.XLMRobertaConfig),
    "albert": lambda: tiny_config(t.AlbertConfig),
    "mpnet": lambda: tiny_config(t.MPNetConfig),
    "mbart": lambda: t.MBartConfig(vocab_size=97),
    "qwen": lambda: tiny_config(t.Qwen2Config),
    "gemma": lambda: tiny_config(t.GemmaConfig),
    "xlm": lambda: t.XLMConfig(n_words=97),
    "luke": lambda: tiny_config(t.LukeConfig),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("beside", [{}, {"special_tokens_map.json": "{}", "chat_template.jinja": "{{ messages }}"}])
def test_no_family_of_tokenizers_is_made_up(tmp_path, name, beside):
    CONFIGS[name]().save_pretrained(tmp_path)
    for file, content in beside.items():
        (tmp_path / file).write_text(content)
    with pytest.raises(HoldfastError, match=r"holds no whole tokenizer \(tokenizer.json.* missing\)") as told:
        load_tokenizer(ModelSource(str(tmp_path)))
    assert f"AutoTokenizer.from_pretrained(BASE).save_pretrained('{tmp_path}')" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_name_of_a_tokenizer_is_none(tmp_path):
    classifier("bert").config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    with pytest.raises(HoldfastError, match="holds no whole tokenizer"):
        load_tokenizer(ModelSource(str(tmp_path)))


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ("bert", {"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\n"}),
        ("gpt2", {"vocab.json": '{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}', "merges.txt": "#version: 0.2\na b\n"}),
        (
            "roberta",
            {"vocab.json": '{"<s>": 0, "<pad>": 1, "a": 2, "b": 3, "ab": 4}', "merges.txt": "#version: 0.2\na b\n"},
        ),
    ],
)
def test_the_older_files_of_a_tokenizer_do(tmp_path, config, files):
    classifier(config).config.save_pretrained(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    words = load_tokenizer(ModelSource(str(tmp_path))).get_vocab()
    assert "good" in words or "ab" in words
    if "merges.txt" in files:
        (tmp_path / "merges.txt").unlink()
        with pytest.raises(HoldfastError, match=r"tokenizer.json, or merges.txt, is missing"):
            load_tokenizer(ModelSource(str(tmp_path)))


def test_a_tokenizer_of_bytes_needs_no_file(tmp_path):
    t5_config(0.0).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    tokenizer = load_tokenizer(ModelSource(str(tmp_path)))
    assert tokenizer.decode(tokenizer("good film", add_special_tokens=False)["input_ids"]) == "good film"


def test_a_tokenizer_of_special_tokens_alone_is_refused(tmp_path):
    classifier("bert").config.save_pretrained(tmp_path)
    raw = Tokenizer(WordPiece({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]"))
    t.PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(tmp_path)
    with pytest.raises(HoldfastError, match=r"knows no word, only special tokens \(2 in all\)"):
        load_tokenizer(ModelSource(str(tmp_path)))


def test_tokens_past_the_embedding_are_refused_whatever_their_number(tmp_path):
    # Three tokens, and the last of them is number 200.
    raw = Tokenizer(BPE({"a": 0, "<pad>": 1, "b": 200}, []))
    tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", model_max_length=64)
    with pytest.raises(HoldfastError, match="tokenizer has 201 tokens and the model embeds 97"):
        check_lengths("mine", classifier("bert").config, tokenizer, 32)


def one_line(capsys, *arguments):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("holdfast: error: ")
    assert told.count("\n") == 1
    return told


@pytest.fixture
def bare(tmp_path):
    """A folder as ``Trainer.save_model`` leaves it without ``processing_class``."""
    classifier("bert").save_pretrained(tmp_path / "bare")
    return tmp_path / "bare"


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "the film was good,yes\nthe meal was bad,no\n" * 20)
    return tmp_path / "rows.csv"


@pytest.mark.parametrize("command", ["compare", "tune", "collapse", "probe", "probe --pretrained", "dry-run"])
def test_every_command_refuses_a_folder_without_tokenizer(tmp_path, bare, rows, capsys, command):
    whole = save_model(tmp_path / "whole")
    out, length = ("--out", tmp_path / "out"), ("--max-length", 40)
    arguments = {
        "compare": ("compare", rows, "--model", bare, *length, *out),
        "dry-run": ("compare", rows, "--model", bare, *length, "--dry-run", *out),
        "tune": ("tune", rows, "--model", bare, *length, *out),
        "collapse": ("collapse", "chain", "--source", rows, "--chain", rows, "--model", bare, *length, *out),
        "probe": ("probe", bare, "--tasks", rows, "--pretrained", whole, *length),
        "probe --pretrained": ("probe", whole, "--tasks", rows, "--pretrained", bare, *length),
    }
    assert f"model folder {bare}: it holds no whole tokenizer" in one_line(capsys, *arguments[command])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (["checkpoint-500/*", "checkpoint-1000/*"], "checkpoint-500, checkpoint-1000 hold models; .*/checkpoint-1000"),
        (["0_Transformer/*", "modules.json"], "did you mean .*/0_Transformer"),
        (["model-q4.gguf"], r"weights for GGUF \(model-q4.gguf\)"),
        (["onnx/model.onnx"], "weights for ONNX"),
        (["optimizer.pt", "trainer_state.json"], "only what a Trainer keeps to resume"),
        (["tokenizer.json"], "give a folder written by save_pretrained"),
    ],
)
@pytest.mark.parametrize("configured", [False, True])
def test_what_a_folder_holds_instead_is_told(tmp_path, made, told, configured):
    folder = tmp_path / "given"
    for name in made:
        if name.endswith("/*"):
            classifier("bert").save_pretrained(folder / name.removesuffix("/*"))
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")
    if configured:
        classifier("bert").config.save_pretrained(folder)
    first = "holds no weights" if configured else "config.json is missing"
    with pytest.raises(HoldfastError, match=f"{first}.*{told}") as caught:
        check_model(ModelSource(str(folder)))
    assert "\n" not in str(caught.value)
