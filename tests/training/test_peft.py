"""Methods on PEFT models: what works trains adapters alone and saves them, and what does not is refused."""

import re
from pathlib import Path

import peft
import pytest
import torch
from trainers import arguments, rows
from transformers import LlamaForCausalLM, Trainer

from holdfast import DPS, EMA, LLRD, R3F, BitFit, ChildTuningD, HeadTuning, HoldfastError, Mixout, TopKLayers, attach
from holdfast.methods import catalogue
from holdfast.methods.base import Plan
from method_table import TABLE
from tiny import batch, classifier, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # of PEFT and Transformers about their own futures

TASKS = {"classifier": "SEQ_CLS", "language model": "CAUSAL_LM"}
PAGES = Path(__file__).parents[2] / "docs" / "methods"
REASONS = {
    "r4f": "needs a classification head",
    "mhloss": "mhloss trains several heads, and checkpoints of PeftModel",
    "lora": "has adapters already",
    "mmr": "needs a classification head",
    "head_tuning": "has no new head that is trained",
    "lp_ft": "has no new head that is trained",
}
FROZEN = "acts on the pre-trained weights, and adapters leave those frozen: train without adapters"


def base(kind):
    if kind == "classifier":
        return classifier("bert", dropout=0.1)
    config = classifier("llama").config
    torch.manual_seed(0)
    return LlamaForCausalLM(config).train()


def adapted(kind, **options):
    model = base(kind)
    torch.manual_seed(1)
    targets = ["query", "value"] if kind == "classifier" else "all-linear"
    settings = {"target_modules": targets, "r": 4, "lora_dropout": 0.1, **options}
    return peft.get_peft_model(model, peft.LoraConfig(task_type=TASKS[kind], **settings))


def data(kind, count=8):
    found = rows(count)
    if kind == "language model":
        for row in found:
            row["labels"] = torch.where(row["attention_mask"] == 1, row["input_ids"], -100)
    return found


def train(kind, folder, *methods, model=None, steps=4, **options):
    model = adapted(kind) if model is None else model
    trainer = Trainer(
        model,
        arguments(folder, max_steps=steps, **options),
        train_dataset=data(kind),
        eval_dataset=data(kind),
        processing_class=tokenizer() if any(method.requires.text for method in methods) else None,
    )
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    attach(trainer, *methods).train()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    return trainer, moved


def logits(model):
    given = batch(seed=7)
    with torch.no_grad():
        return model.eval()(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits


def outcomes(name):
    """What the page of a method says, by kind."""
    page = " ".join((PAGES / f"{name}.md").read_text(encoding="utf-8").split())
    said = re.search(
        r"\*\*When only adapters train\.\*\* Classifier: (works|refused)\. Language model: (works|refused)\.", page
    )
    assert said, f"{name}.md does not say what happens when only adapters train"
    return dict(zip(TASKS, said.groups(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", catalogue())
def test_a_method_trains_adapters_alone_or_is_refused_as_the_page_says(name, kind, tmp_path):
    method = next(method for method in TABLE.values() if method.name == name)
    if outcomes(name)[kind] == "refused":
        with pytest.raises(HoldfastError, match=rf"{re.escape(REASONS.get(name, FROZEN))}|^{name} "):
            train(kind, tmp_path, method)
        return
    model = adapted(kind)
    flags = {key: p.requires_grad for key, p in model.named_parameters()}
    trainer, moved = train(kind, tmp_path, method, model=model)
    assert {key: p.requires_grad for key, p in model.named_parameters()} == flags
    assert moved
    assert all(flags[key] for key in moved), "a weight of the base model"
    trainer.save_model(tmp_path / "saved")
    loaded = peft.PeftModel.from_pretrained(base(kind), tmp_path / "saved")
    expected = logits(model)
    assert torch.allclose(logits(loaded), expected, atol=1e-6)
    assert not torch.allclose(logits(adapted(kind)), expected, atol=1e-4)
    assert torch.allclose(logits(loaded.merge_and_unload()), expected, atol=1e-4)


def layer(index):
    return f"base_model.model.bert.encoder.layer.{index}."


HEAD = {f"base_model.model.classifier.modules_to_save.default.{part}" for part in ("weight", "bias")}


@pytest.mark.slow
def test_which_adapters_move(tmp_path):
    _, every = train("classifier", tmp_path, R3F(sigma=0.1))
    assert {key for key in every if "lora_" not in key} == HEAD
    assert train("classifier", tmp_path, HeadTuning())[1] == HEAD
    assert train("classifier", tmp_path, TopKLayers(k=1))[1] == {key for key in every if not key.startswith(layer(0))}
    _, chosen = train("classifier", tmp_path, ChildTuningD(freeze="hard"), weight_decay=0.1)
    assert chosen == {key for key in every if "lora_A" not in key}, "the gradient of A is zero while B is"


def test_methods_that_select_and_mix_do_so_among_the_adapters():
    model = adapted("classifier")
    trained = {key for key, p in model.named_parameters() if p.requires_grad and key.endswith("weight")}
    assert set(DPS().check(model).weights) == set(Mixout().check(model).weights) == trained
    session = Mixout(drop=0.5).start(model, Plan(4))
    start = {key.removeprefix("base."): value for key, value in session.state_dict().items()}
    zeros = [key for key, value in start.items() if "lora_B" in key and not value.any()]
    assert len(zeros) == 4
    session.finish()


def test_rates_of_adapters_are_those_of_their_blocks():
    rates = LLRD(decay=0.5).start(adapted("classifier"), Plan(4)).lr_multipliers()
    assert {key.split(".")[5]: rate for key, rate in rates.items() if "lora_" in key} == {"0": 0.25, "1": 0.5}


@pytest.mark.slow
def test_ema_ends_with_the_average_of_the_adapters(tmp_path):
    """Of two steps at a decay of 0.5: the mean of the weights after each."""
    ends = []
    for steps in (1, 2):
        model = adapted("classifier", lora_dropout=0.0)
        train("classifier", tmp_path, model=model, steps=steps)
        ends.append({key: p.detach() for key, p in model.named_parameters() if p.requires_grad})
    model = adapted("classifier", lora_dropout=0.0)
    train("classifier", tmp_path, EMA(decay=0.5, warmup=False), model=model, steps=2)
    for key, p in model.named_parameters():
        if p.requires_grad:
            assert torch.allclose(p, (ends[0][key] + ends[1][key]) / 2, atol=1e-6), key


@pytest.mark.slow
@pytest.mark.parametrize("method", [R3F(sigma=0.1), Mixout(), EMA(decay=0.5)], ids=repr)
def test_the_best_checkpoint_of_adapters_is_loaded(method, tmp_path):
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    trainer, _ = train("classifier", tmp_path, method, load_best_model_at_end=True, **options)
    best = peft.PeftModel.from_pretrained(base("classifier"), trainer.state.best_model_checkpoint)
    assert torch.allclose(logits(best), logits(trainer.model), atol=1e-6)


def test_biases_that_peft_trains_are_no_case_for_bitfit(tmp_path):
    with pytest.raises(HoldfastError, match=f"bitfit {FROZEN}"):
        train("classifier", tmp_path, BitFit(), model=adapted("classifier", bias="all"))


KINDS = {
    "dora": peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], use_dora=True),
    "ia3": peft.IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[]),
    "embedding": peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "embed_tokens"]),
    "whole embedding": peft.LoraConfig(
        task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"]
    ),
    "tokens": peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], trainable_token_indices=[5, 6]),
    "prefix": peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
}


@pytest.mark.slow
@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_r3f_trains_other_kinds_of_adapters(config, tmp_path):
    model = peft.get_peft_model(base("language model"), config)
    trained = {key for key, p in model.named_parameters() if p.requires_grad}
    trainer, moved = train("language model", tmp_path, R3F(sigma=0.3), model=model, steps=2)
    assert moved == trained
    assert trainer.state.log_history[0]["loss/r3f"] > 1e-3


@pytest.mark.slow
def test_learned_tokens_before_the_text_are_refused_where_outputs_are_compared(tmp_path):
    def prompted(kind):
        return peft.get_peft_model(base(kind), peft.PromptTuningConfig(task_type=TASKS[kind], num_virtual_tokens=3))

    with pytest.raises(HoldfastError, match=r"r3f compares the outputs at each token .* prompt_tuning puts 3 learned"):
        train("language model", tmp_path, R3F(), model=prompted("language model"))
    _, moved = train("language model", tmp_path, EMA(), model=prompted("language model"), steps=2)
    assert moved == {"prompt_encoder.default.embedding.weight"}
    _, moved = train("classifier", tmp_path, R3F(sigma=0.1), model=prompted("classifier"), steps=2)
    head = {f"base_model.classifier.modules_to_save.default.{part}" for part in ("weight", "bias")}
    assert moved == {"prompt_encoder.default.embedding.weight"} | head
