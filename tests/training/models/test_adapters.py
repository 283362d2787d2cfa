"""A folder of adapters is their base model with them merged into it: the logits are those that PEFT gives."""

import json

import peft
import pytest
import torch
import transformers as t

from holdfast import HoldfastError
from holdfast.cli.main import main
from holdfast.records.model_source import ModelSource
from holdfast.training.models import loading as models
from holdfast.training.models.loading import load_model, load_tokenizer, load_weights
from tiny import batch, classifier, save_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of PEFT, where the tests make adapters


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(models, "_hub_is_out_of_reach", lambda: True)


TARGETS = {"bert": ["query", "value"], "gpt2": ["c_attn"], "llama": "all-linear", "t5": ["q", "v"]}


def adapted(tmp_path, name="bert", kind="SEQ_CLS", config=None):
    """Write a base and adapters for it, away from zero; return PEFT's model."""
    base = save_model(tmp_path / "base", name)
    model = {
        "SEQ_CLS": t.AutoModelForSequenceClassification,
        "FEATURE_EXTRACTION": t.AutoModel,
        "CAUSAL_LM": t.AutoModelForCausalLM,
    }[kind].from_pretrained(base)
    lora = config or peft.LoraConfig(task_type=kind, r=2, target_modules=TARGETS[name], init_lora_weights=False)
    tuned = peft.get_peft_model(model, lora)
    tuned.save_pretrained(tmp_path / "adapters")
    return tuned.eval()


def rows():
    found = batch()
    del found["labels"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["SEQ_CLS", "FEATURE_EXTRACTION"])
def test_the_body_is_the_adapted_one_and_everything_trains(tmp_path, name, kind):
    tuned = adapted(tmp_path, name, kind)
    loaded = load_model(ModelSource(str(tmp_path / "adapters")), 3, ("a", "b", "c")).eval()
    plain = load_model(ModelSource(str(tmp_path / "base")), 3, ("a", "b", "c")).eval()
    whole = kind == "FEATURE_EXTRACTION"
    theirs = tuned.get_base_model() if whole else getattr(tuned.get_base_model(), loaded.base_model_prefix)
    merged = tuned.merge_and_unload().state_dict()
    theirs = merged if whole else theirs.state_dict()
    ours = getattr(loaded, loaded.base_model_prefix).state_dict()
    assert list(loaded.state_dict()) == list(plain.state_dict())
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key])
    assert any(not torch.equal(a, b) for a, b in zip(loaded.parameters(), plain.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert type(loaded) is type(plain)
    loaded.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / "adapter_config.json").exists()


def test_a_language_model_gives_the_logits_that_peft_gives(tmp_path):
    config = classifier("gpt2").config
    config.tie_word_embeddings = False
    model = t.AutoModelForCausalLM.from_config(config)
    save_model(tmp_path / "base", "gpt2")
    model.save_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn", "lm_head"], init_lora_weights=False)
    tuned = peft.get_peft_model(t.AutoModelForCausalLM.from_pretrained(tmp_path / "base"), lora)
    tuned.save_pretrained(tmp_path / "adapters")
    source = ModelSource(str(tmp_path / "adapters"))
    config = models.model_config(source)
    loaded, _ = load_weights(t.AutoModelForCausalLM, source, config)
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(**rows()).logits, tuned.eval()(**rows()).logits)


def test_adapters_leave_the_seed_of_the_head_alone(tmp_path):
    adapted(tmp_path)
    heads = []
    for folder in ("base", "adapters"):
        torch.manual_seed(5)
        heads.append((load_model(ModelSource(str(tmp_path / folder)), 3).classifier.weight, torch.rand(1)))
    assert torch.equal(heads[0][0], heads[1][0])
    assert torch.equal(heads[0][1], heads[1][1])


def test_the_tokenizer_is_the_bases_unless_the_adapters_bring_one(tmp_path):
    adapted(tmp_path)
    assert "film" in load_tokenizer(ModelSource(str(tmp_path / "adapters"))).get_vocab()
    t.AutoTokenizer.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "adapters")
    for file in (tmp_path / "base").glob("tokenizer*"):
        file.unlink()
    assert "film" in load_tokenizer(ModelSource(str(tmp_path / "adapters"))).get_vocab()


def spoil(folder, **changes):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))


def refused(folder, match):
    with pytest.raises(HoldfastError, match=match) as told:
        load_model(ModelSource(str(folder)), 2)
    assert "\n" not in str(told.value)


def test_adapters_that_cannot_be_merged_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "adapters"
    adapted(tmp_path)
    spoil(folder, base_model_name_or_path=str(tmp_path / "gone"))
    refused(folder, "it holds adapters for .*gone: model .*gone: there is no such folder")
    spoil(folder, base_model_name_or_path=None)
    refused(folder, "does not name their base model; name it there as base_model_name_or_path")
    spoil(folder, base_model_name_or_path=str(folder))
    refused(folder, "which are adapters too; merge them where they were trained")
    other = save_model(tmp_path / "other", "gpt2")
    spoil(folder, base_model_name_or_path=other)
    refused(folder, r"adapters do not fit GPT2For.*; merge them where they were trained, model.merge_and_unload\(\)")
    spoil(folder, base_model_name_or_path=str(tmp_path / "base"))
    with monkeypatch.context() as without:
        without.setattr("holdfast.training.models.adapters.find_spec", lambda name: None)
        refused(folder, r"adapters, which PEFT merges: pip install \"holdfast\[lora\]\"")
    weights = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights)
    refused(folder, "both a model and adapters")
    (folder / "model.safetensors").unlink()
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    refused(folder, "its adapters are pickled .* --pickled-weights")
    (folder / "adapter_model.bin").unlink()
    refused(folder, r"lacks their adapter_model\.safetensors")


def test_prompts_are_no_weights(tmp_path):
    prompts = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=2)
    adapted(tmp_path, config=prompts)
    refused(tmp_path / "adapters", r"its adapters \(PROMPT_TUNING\) are prompts")


@pytest.mark.slow
def test_a_study_tunes_adapters_on_and_a_probe_reads_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    adapted(tmp_path)
    (tmp_path / "rows.csv").write_text(
        "text,label\n" + "".join(f"good film {n},yes\nbad meal {n},no\n" for n in range(20))
    )
    data, folder, out = (str(tmp_path / name) for name in ("rows.csv", "adapters", "out"))
    common = ["--max-length", "16", "--threads", "1"]
    tune = ["tune", data, "--model", folder, "--method", "vanilla", "--max-steps", "1", *common, "--out", out]
    assert main(tune) == 0
    told = capsys.readouterr().err
    assert f"note: rows: the model is {tmp_path / 'base'} with the adapters in {folder} merged into it" in told
    assert "none is kept" in told
    again = t.AutoModelForSequenceClassification.from_pretrained(out)
    assert not hasattr(again, "peft_config")
    assert main(["probe", folder, "--tasks", data, "--pretrained", str(tmp_path / "base"), *common]) == 0
