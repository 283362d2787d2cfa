"""attach() on TRL's SFTTrainer: decoders on prompts and completions, packed or padded, with and without LoRA."""

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import datasets
import peft
import pytest
import torch
import transformers as t
import trl
from tokenizers.pre_tokenizers import Whitespace
from torch.nn.functional import cross_entropy
from trainers import Gradients, Log, arguments
from transformers.modeling_outputs import CausalLMOutputWithPast

from holdfast import (
    LNSR,
    R3F,
    SMART,
    ChildTuningD,
    Engine,
    FreeLB,
    HoldfastError,
    Method,
    MethodSession,
    NEFTune,
    RDrop,
    Requires,
    Vanilla,
    attach,
)
from holdfast.methods.base import View
from holdfast.methods.neftune import neftune_noise
from holdfast.methods.parts.padding import is_packed, text_lengths
from tiny import VOCABULARY, batch, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # of TRL, Transformers and PEFT about their own futures

EOS = 3
LENGTHS = [(2, 5), (1, 9), (4, 3), (3, 7), (2, 2), (1, 6), (5, 4), (2, 8)]
"""Words of each prompt and of its completion."""
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content + ' ' }}{% endgeneration %}"
    "{% else %}{{ m.content + ' ' }}{% endif %}{% endfor %}"
)


def decoder(name="llama"):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "initializer_range": 0.2, "pad_token_id": 1, "eos_token_id": EOS}
    if name == "gpt2":
        still = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return t.GPT2LMHeadModel(t.GPT2Config(**sizes, **still, n_embd=32, n_layer=2, n_head=2, bos_token_id=0))
    width = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    if name == "qwen2":
        return t.Qwen2ForCausalLM(t.Qwen2Config(**sizes, **width, num_key_value_heads=1))
    return t.LlamaForCausalLM(t.LlamaConfig(**sizes, **width, num_key_value_heads=2, bos_token_id=0))


def words_only():
    made = tokenizer()
    made._tokenizer.pre_tokenizer = Whitespace()
    made._tokenizer.model.unk_token = made.mask_token  # TRL tries its chat template on words of its own
    made.chat_template = TEMPLATE
    return made


def ids():
    """Token ids of each prompt and each completion, without the end."""
    draw = torch.Generator().manual_seed(0)
    return [
        tuple(torch.randint(5, VOCABULARY, (count,), generator=draw).tolist() for count in pair) for pair in LENGTHS
    ]


def written(tokens):
    return " ".join(f"word{token - 5}" for token in tokens)


def dataset(kind):
    pairs = [(written(prompt), written(completion)) for prompt, completion in ids()]
    if kind == "text":
        return datasets.Dataset.from_list([{"text": f"{prompt} {completion}"} for prompt, completion in pairs])
    if kind == "chat":
        roles = ("user", "assistant")
        chats = [[{"role": r, "content": c} for r, c in zip(roles, pair, strict=True)] for pair in pairs]
        return datasets.Dataset.from_list([{"messages": chat} for chat in chats])
    return datasets.Dataset.from_list([{"prompt": f"{a} ", "completion": b} for a, b in pairs])


def labelled(kind):
    """The token ids and labels that each text has by the documentation of TRL."""
    end = [] if kind == "chat" else [EOS]
    for prompt, completion in ids():
        hidden = 0 if kind == "text" else len(prompt)
        row = [*prompt, *completion, *end]
        yield torch.tensor([row]), torch.tensor([[-100] * hidden + row[hidden:]])


def build(folder, model, *methods, kind="prompt", stacked=True, peft_config=None, **options):
    log, gradients = Log(), Gradients()
    settings = {
        "max_length": 32,
        "max_steps": 1,
        "max_grad_norm": 0,
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": 8,
        **options,
    }
    trainer = trl.SFTTrainer(
        model,
        arguments(folder, trl.SFTConfig, **settings),
        train_dataset=dataset(kind),
        eval_dataset=dataset(kind),
        processing_class=words_only(),
        callbacks=[log, gradients],
        peft_config=peft_config,
    )
    if methods:
        attach(trainer, *methods, stacked=stacked)
    return trainer, log, gradients


def run(*args, **options):
    trainer, log, gradients = build(*args, **options)
    trainer.train()
    return trainer, log.entries[-1], gradients.found


def enlarged(embeddings):
    return embeddings * 1.5


@dataclass(frozen=True)
class Enlarged(Method):
    """R3F with a perturbation that is the same for every token, wherever it lies in a batch."""

    name: ClassVar[str] = "enlarged"

    @property
    def requires(self):
        return Requires(outputs=True, views=True, whole_weights=False)

    def start(self, model, plan):
        return EnlargedSession(self, model, plan)


class EnlargedSession(MethodSession):
    def views(self, step):
        return (View(enlarged),)

    def loss(self, forward):
        logits, mask = (forward.outputs["logits"], forward.views[0]["logits"]), forward.token_mask
        return 5 * (apart(*logits) * mask).sum() / forward.tokens


def apart(first, second):
    p, q = first.float().log_softmax(-1), second.float().log_softmax(-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1)


@dataclass(frozen=True)
class EnlargedRows(Enlarged):
    """The same for one row of logits a text."""

    def start(self, model, plan):
        return EnlargedRowsSession(self, model, plan)


class EnlargedRowsSession(EnlargedSession):
    def loss(self, forward):
        return apart(forward.outputs["logits"], forward.views[0]["logits"]).sum() / forward.rows


def by_hand(name, kind):
    """Loss by part, and its gradient, from each text alone: no batch, no padding, no packing."""
    model = decoder(name).train()
    task, penalty, count = 0.0, 0.0, 0
    for tokens, labels in labelled(kind):
        clean = model(tokens).logits[:, :-1]
        noised = model(inputs_embeds=enlarged(model.get_input_embeddings()(tokens))).logits[:, :-1]
        targets = labels[:, 1:]
        task += cross_entropy(clean[0], targets[0], reduction="sum")
        penalty += (apart(clean, noised) * (targets != -100)).sum()
        count += int((targets != -100).sum())
    (task / count + 5 * penalty / count).backward()
    return float(task) / count, 5 * float(penalty) / count, [p.grad for p in model.parameters() if p.grad is not None]


SITUATIONS = {
    "one batch": {},
    "in turn": {"stacked": False},
    "accumulated": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    "packed": {"packing": True, "max_length": 25, "per_device_train_batch_size": 4},
    "packed and accumulated": {
        "packing": True,
        "max_length": 25,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
    },
    "padding-free": {
        "padding_free": True,
        "max_length": None,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
    },
    "checkpointed": {"gradient_checkpointing": True},
    "packed and checkpointed": {"packing": True, "max_length": 25, "gradient_checkpointing": True},
    "compiled": {"torch_compile": True, "torch_compile_backend": "eager"},
    "bf16": {"bf16": True, "gradient_checkpointing": True},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "situation"),
    [
        *(("llama", "prompt", situation) for situation in SITUATIONS),
        *(("llama", kind, "accumulated") for kind in ("text", "chat")),
        *((name, "prompt", situation) for name in ("gpt2", "qwen2") for situation in ("accumulated", "packed")),
    ],
)
def test_losses_and_gradient_are_those_of_the_texts_one_by_one(name, kind, situation, tmp_path):
    torch._dynamo.reset()
    options = SITUATIONS[situation] | ({"assistant_only_loss": True} if kind == "chat" else {})
    task, penalty, gradient = by_hand(name, kind)
    _, entry, found = run(tmp_path, decoder(name), Enlarged(), kind=kind, **options)
    precision = 2e-2 if situation == "bf16" else 1e-4
    assert entry["loss/task"] == pytest.approx(task, rel=precision)
    assert entry["loss/enlarged"] == pytest.approx(penalty, rel=precision)
    assert penalty > 0.1
    assert entry["loss"] == pytest.approx(task + penalty, rel=precision)
    for a, b in zip(found, gradient, strict=True):
        assert float((a - b).norm()) < precision * 3 * float(b.norm())


@pytest.mark.parametrize(
    ("name", "side"), [("llama", "left"), ("qwen2", "left"), ("qwen2", "right"), ("gpt2", "right")]
)
def test_decoder_classifiers_read_the_last_token_of_every_copy(name, side, tmp_path):
    """Padded on either side, as from each text alone. (GPT-2 counts positions from the padding on.)"""
    kind = {
        "llama": t.LlamaForSequenceClassification,
        "qwen2": t.Qwen2ForSequenceClassification,
        "gpt2": t.GPT2ForSequenceClassification,
    }[name]
    model = kind(decoder(name).config).train()
    together = batch(rows=6, padding=side)
    task = penalty = 0.0
    for row, mask, label in zip(together["input_ids"], together["attention_mask"], together["labels"], strict=True):
        tokens = row[mask == 1][None]
        clean = model(tokens).logits
        noised = model(inputs_embeds=enlarged(model.get_input_embeddings()(tokens))).logits
        task += float(cross_entropy(clean, label[None])) / 6
        penalty += float(apart(clean, noised).sum()) / 6
    log = Log()
    trainer = t.Trainer(
        model,
        arguments(tmp_path, max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=3),
        train_dataset=[{key: value[row] for key, value in together.items()} for row in range(6)],
        callbacks=[log],
    )
    attach(trainer, EnlargedRows()).train()
    assert log.entries[0]["loss/task"] == pytest.approx(task, rel=1e-4)
    assert log.entries[0]["loss/enlarged"] == pytest.approx(penalty, rel=1e-3)
    assert penalty > 1e-3


def test_metrics_are_those_of_the_clean_rows(tmp_path):
    options = {"packing": True, "max_length": 25, "per_device_train_batch_size": 4}
    entries = [run(tmp_path, decoder(), *methods, **options)[1] for methods in ((), (R3F(sigma=0.5),))]
    for name in ("entropy", "mean_token_accuracy", "num_tokens"):
        assert entries[1][name] == pytest.approx(entries[0][name], rel=1e-5), name
    assert entries[1]["loss/r3f"] > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [SMART(), FreeLB(), LNSR(), R3F(positions="sum"), R3F(rows=0.5), ChildTuningD(fisher="example")], ids=repr
)
def test_methods_that_treat_each_text_by_itself_refuse_packed_rows(method, tmp_path):
    """One row of several texts has one norm and one mean."""
    with pytest.raises(HoldfastError, match=f"{method.name} treats each text by itself, and this batch has several in"):
        run(tmp_path, decoder(), method, packing=True, max_length=25)


def test_rows_with_position_ids_are_packed_only_where_these_begin_anew():
    one, two = torch.arange(5)[None], torch.tensor([[0, 1, 2, 0, 1]])
    assert is_packed({"position_ids": two})
    assert not is_packed({"position_ids": one})
    assert not is_packed({"input_ids": two})
    left = {"position_ids": torch.tensor([[1, 1, 0, 1, 2]]), "attention_mask": torch.tensor([[0, 0, 1, 1, 1]])}
    assert not is_packed(left)
    ones = torch.ones(1, 5)
    assert text_lengths({"position_ids": two}, ones).tolist() == [[3, 3, 3, 2, 2]]
    assert text_lengths({"position_ids": torch.tensor([[0, 0, 1, 0, 0]])}, ones).tolist() == [[1, 2, 2, 1, 1]]
    assert text_lengths(left, left["attention_mask"].float()).tolist() == [[3.0] * 5]


def test_neftune_goes_by_the_length_of_each_packed_text():
    lengths = torch.tensor([[2.0] * 2 + [50.0] * 50])
    noise = neftune_noise(torch.zeros(1, 52, 64), torch.ones(1, 52), 5.0, lengths).abs()
    for part, length in ((noise[:, :2], 2), (noise[:, 2:], 50)):
        assert 0.9 * 5 / (length * 64) ** 0.5 < float(part.max()) <= 5 / (length * 64) ** 0.5


def test_neftune_trains_on_packed_rows(tmp_path):
    _, entry, _ = run(tmp_path, decoder(), NEFTune(alpha=20.0), packing=True, max_length=25)
    assert abs(entry["loss/task"] - by_hand("llama", "prompt")[0]) > 1e-3


@pytest.mark.parametrize("accumulation", [1, 4])
def test_freelb_takes_the_loss_of_the_trainer_for_the_models_own(accumulation, tmp_path):
    """Which it is, by value: the same gradient as in a loop around the plain model."""
    size = 8 // accumulation
    _, entry, found = run(
        tmp_path,
        decoder(),
        FreeLB(steps=2, step_size=0.3),
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
    )
    model = decoder()
    engine = Engine(model, [FreeLB(steps=2, step_size=0.3)], optimizer=torch.optim.SGD(model.parameters(), 1.0))
    rows = list(labelled("prompt"))
    width = max(tokens.shape[1] for tokens, _ in rows)
    together = {
        "input_ids": torch.cat([torch.nn.functional.pad(a, (0, width - a.shape[1]), value=1) for a, _ in rows]),
        "attention_mask": torch.cat(
            [torch.nn.functional.pad(torch.ones_like(a), (0, width - a.shape[1])) for a, _ in rows]
        ),
        "labels": torch.cat([torch.nn.functional.pad(b, (0, width - b.shape[1]), value=-100) for _, b in rows]),
    }
    loss = engine.loss(together)
    engine.backward(loss)
    assert entry["loss"] == pytest.approx(float(loss), rel=1e-4)
    assert entry["loss/freelb"] == pytest.approx(engine.terms["freelb"], rel=1e-3)
    if accumulation == 1:
        for a, b in zip(found, [p.grad for p in model.parameters() if p.grad is not None], strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_another_loss_is_not_taken_for_the_models_own(tmp_path):
    with pytest.raises(HoldfastError, match="r_drop needs the model's own loss for its second pass"):
        run(tmp_path, decoder(), RDrop(), loss_type="dft")
    _, entry, _ = run(tmp_path, decoder(), R3F(sigma=0.3), loss_type="dft")
    assert entry["loss"] == pytest.approx(entry["loss/task"] + entry["loss/r3f"], rel=1e-5)


def test_passes_of_methods_that_measure_are_not_counted(tmp_path):
    tokens = [run(tmp_path, decoder(), method)[1]["num_tokens"] for method in (Vanilla(), ChildTuningD())]
    assert tokens[0] == tokens[1] == sum(tokens.shape[1] for tokens, _ in labelled("prompt"))


def test_neftune_of_the_trainer_reaches_every_copy_and_no_evaluation(tmp_path):
    trainer, entry, _ = run(tmp_path, decoder(), R3F(sigma=0.0), neftune_noise_alpha=5.0, learning_rate=0.0)
    assert entry["loss/r3f"] > 1e-3, "the copies' noise is not the same"
    assert trainer.evaluate()["eval_loss"] == pytest.approx(by_hand("llama", "prompt")[0], rel=1e-4)


def test_a_fused_loss_without_logits_is_refused(tmp_path):
    """Liger's kernel replaces the model's forward by one that makes none."""
    model = decoder()
    whole = model.forward

    def fused(*args, **kwargs):
        return CausalLMOutputWithPast(loss=whole(*args, **kwargs).loss)

    model.forward = fused
    with pytest.raises(HoldfastError, match=r"LlamaForCausalLM returned no logits .* and no fused loss"):
        run(tmp_path, model, R3F())


LOADED = """
import sys
sys.modules["holdfast"] = None
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
ids, found = torch.arange(5, 15)[None], []
for folder in sys.argv[3:]:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), folder).eval()
    with torch.no_grad():
        found.append([model(ids).logits, model.merge_and_unload()(ids).logits])
torch.save(found, sys.argv[2])
"""


@pytest.mark.slow
def test_r3f_on_a_llama_with_lora_trains_saves_and_loads_without_holdfast(tmp_path):
    """Padded and packed, in bf16 and with checkpointing; the adapter is all that is saved."""
    decoder().save_pretrained(tmp_path / "base")
    trainers = []
    for packing in (False, True):
        trainer, log, _ = build(
            tmp_path / "run",
            decoder(),
            R3F(sigma=0.1),
            peft_config=peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"),
            packing=packing,
            max_length=25,
            max_steps=6,
            learning_rate=0.02,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            bf16=True,
            gradient_checkpointing=True,
        )
        before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
        trainer.train()
        assert log.entries[-1]["loss/task"] < 0.8 * log.entries[0]["loss/task"]
        assert min(log.values("loss/r3f")) > 0
        for name, p in trainer.model.named_parameters():
            assert torch.equal(p, before[name]) != p.requires_grad, name
            assert p.requires_grad == ("lora_" in name), name
        folder = tmp_path / f"saved-{len(trainers)}"
        trainer.save_model(folder)
        assert {path.name for path in folder.glob("*.safetensors")} == {"adapter_model.safetensors"}
        trainers.append((trainer, folder))
    folders = [folder for _, folder in trainers]
    command = [sys.executable, "-c", LOADED, tmp_path / "base", tmp_path / "logits", *folders]
    subprocess.run(command, check=True, capture_output=True)
    start = decoder()(torch.arange(5, 15)[None]).logits
    for (trainer, _), (plain, merged) in zip(trainers, torch.load(tmp_path / "logits"), strict=True):
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            expected = trainer.model.get_base_model().eval()(torch.arange(5, 15)[None]).logits.float()
        assert not torch.allclose(expected, start, atol=0.1)
        assert torch.allclose(plain, expected, atol=5e-2)
        assert torch.allclose(merged, plain, atol=1e-3)


@pytest.mark.slow
def test_adapters_are_compiled_with_the_noise(tmp_path):
    entries = []
    for compiled in (False, True):
        torch._dynamo.reset()
        adapters = peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"])
        options = {"torch_compile": True, "torch_compile_backend": "eager"} if compiled else {}
        entries.append(run(tmp_path, decoder(), R3F(sigma=0.3), peft_config=adapters, **options)[1])
    assert entries[1]["loss/r3f"] == pytest.approx(entries[0]["loss/r3f"], rel=1e-3)
    assert entries[0]["loss/r3f"] > 1e-3
