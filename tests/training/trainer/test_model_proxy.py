"""Trainers with a ``compute_loss`` of their own: subclasses, adapters, TRL."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from trainers import Gradients, Log, arguments, build, masked_rows, rows, same
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Trainer

from holdfast import R3F, R4F, HoldfastError, MHLoss, Mixout, Vanilla, attach
from tiny import batch, classifier


class Reordered(Trainer):
    """Arguments in another order than the base class's, and a loss with class weights."""

    def compute_loss(self, model, inputs, num_items_in_batch=None, return_outputs=False):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        weight = torch.tensor([1.0, 2.0], device=model.device)
        loss = cross_entropy(outputs.logits.view(-1, model.config.num_labels), labels, weight=weight)
        return (loss, outputs) if return_outputs else loss


class Measuring(Trainer):
    """Runs the model before and after the loss, without gradient, for metrics."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        with torch.no_grad():
            model(**inputs)
        loss = model(**inputs).loss
        with torch.no_grad():
            outputs = model(**inputs)
        return (loss, outputs) if return_outputs else loss


class ByPosition(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        return model(inputs["input_ids"], inputs["attention_mask"]).logits.sum()


class AroundTheModel(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        return model.classifier(model.bert(inputs["input_ids"]).pooler_output).sum()


def training(kind, folder, *methods, **options):
    log, gradients = Log(), Gradients()
    trainer = kind(
        classifier("bert"),
        arguments(folder, max_steps=1, max_grad_norm=0, **options),
        train_dataset=rows(4),
        eval_dataset=rows(4),
        callbacks=[log, gradients],
    )
    (attach(trainer, *methods) if methods else trainer).train()
    return trainer, log.entries[0], torch.cat([g.flatten() for g in gradients.found])


def test_a_loss_of_the_subclass_is_the_task_loss(tmp_path):
    trainer, entry, _ = training(Reordered, tmp_path, R3F(sigma=0.3))
    data = torch.utils.data.default_collate(rows(4))
    logits = classifier("bert")(**data).logits
    expected = cross_entropy(logits, data["labels"], weight=torch.tensor([1.0, 2.0]))
    assert entry["loss/task"] == pytest.approx(float(expected), rel=1e-5)
    assert entry["loss"] == pytest.approx(entry["loss/task"] + entry["loss/r3f"], rel=1e-6)
    assert entry["loss/r3f"] > 0
    assert trainer.evaluate()["eval_loss"] > 0


@pytest.mark.slow
def test_calls_for_metrics_leave_the_penalty_its_gradient(tmp_path):
    _, plain, expected = training(Trainer, tmp_path, R3F(sigma=0.3, weight=5.0))
    _, entry, found = training(Measuring, tmp_path, R3F(sigma=0.3, weight=5.0))
    assert entry["loss"] == pytest.approx(plain["loss"], rel=1e-6)
    assert torch.allclose(found, expected, atol=1e-6)


def test_inputs_by_position_get_their_names(tmp_path):
    _, entry, _ = training(ByPosition, tmp_path, R3F(sigma=0.3))
    data = torch.utils.data.default_collate(rows(4))
    expected = classifier("bert")(data["input_ids"], data["attention_mask"]).logits.sum()
    assert entry["loss/task"] == pytest.approx(float(expected), rel=1e-5)
    assert entry["loss/r3f"] > 0


@pytest.mark.slow
def test_a_loss_around_the_model_is_out_of_reach_of_methods_that_compare_outputs_alone(tmp_path):
    with pytest.raises(HoldfastError, match="does not call the model it is given"):
        training(AroundTheModel, tmp_path, R3F())
    _, _, stock = training(AroundTheModel, tmp_path)
    _, _, attached = training(AroundTheModel, tmp_path, Mixout(drop=0.0))
    assert torch.equal(stock, attached)


def test_compute_loss_outside_training_is_plain(tmp_path):
    trainer, _ = build(tmp_path, R3F(sigma=0.3))
    data = batch()
    expected = float(classifier("bert")(**data).loss)
    assert float(trainer.compute_loss(trainer.model.train(), dict(data))) == pytest.approx(expected, rel=1e-6)


def small_gpt2():
    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "n_embd": 32, "n_layer": 1, "n_head": 2, "bos_token_id": 2, "eos_token_id": 3}
    return GPT2LMHeadModel(GPT2Config(**sizes, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_label_smoothing_on_an_adapter_model_is_that_of_the_stock_trainer(tmp_path):
    """The Trainer shifts the labels by the type it finds inside the adapter model."""
    import peft

    losses = []
    for methods in ([], [Vanilla()], [R3F(weight=0.0)]):
        torch.manual_seed(0)
        settings = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn"], fan_in_fan_out=True)
        log = Log()
        trainer = Trainer(
            peft.get_peft_model(small_gpt2(), settings),
            arguments(tmp_path, label_smoothing_factor=0.1, max_steps=1),
            train_dataset=masked_rows(4),
            callbacks=[log],
        )
        (attach(trainer, *methods) if methods else trainer).train()
        losses += log.values("loss")
    assert losses[1:] == pytest.approx(losses[:1] * 2, rel=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [R3F(sigma=0.1), R4F(sigma=0.1)], ids=lambda method: method.name)
def test_adapters_train_save_and_resume(method, tmp_path):
    """Checkpoints are PEFT's own: loaded by PEFT they compute what the training did, with a plain head."""
    import peft

    def adapted():
        torch.manual_seed(0)
        settings = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"])
        return peft.get_peft_model(classifier("bert", dropout=0.1), settings)

    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    trainer, _ = build(tmp_path / "a", method, model=adapted(), **options)
    trainer.train()
    again, log = build(tmp_path / "b", method, model=adapted(), **options)
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    assert same(trainer.model, again.model)
    assert log.values(f"loss/{method.name}")[0] > 0
    loaded = peft.PeftModel.from_pretrained(classifier("bert", dropout=0.1), tmp_path / "a" / "checkpoint-4").eval()
    with torch.no_grad():
        assert torch.equal(loaded(**batch()).logits, trainer.model.eval()(**batch()).logits)
    if isinstance(method, R4F):
        head = loaded.base_model.model.classifier.modules_to_save.default
        assert float(torch.linalg.matrix_norm(head.weight, 2)) == pytest.approx(1.0, rel=0.01)


@pytest.mark.filterwarnings("ignore")
def test_a_head_that_peft_does_not_train_is_not_taken_over(tmp_path):
    import peft

    model = peft.get_peft_model(classifier("bert"), peft.LoraConfig(r=2, target_modules=["query", "classifier"]))
    trainer = Trainer(model, arguments(tmp_path), train_dataset=rows(16))
    with pytest.raises(HoldfastError, match="PeftModel trains no copy of it in full: name it in modules_to_save"):
        attach(trainer, R4F())
    with pytest.raises(HoldfastError, match="checkpoints of PeftModel hold one: give attach the plain model"):
        attach(trainer, MHLoss())
    assert type(trainer) is Trainer, "refused before anything was changed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trl_supervised_fine_tuning_keeps_its_losses_and_metrics(tmp_path):
    """Its fused output layer makes no logits; methods need them, and the trainer what it reads of the layer."""
    import datasets
    import trl
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({str(i): i for i in range(97)}, unk_token="0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="1", eos_token="3")
    data = [{"input_ids": row["input_ids"][row["attention_mask"] == 1].tolist()} for row in rows(8)]
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=1,
        eos_token_id=3,
        initializer_range=0.2,
    )
    options = {"max_steps": 2, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "bf16": False}
    entries = []
    for methods in ([], [R3F(sigma=0.3, weight=1e-9)], [R3F(sigma=0.3)]):
        torch.manual_seed(0)
        log = Log()
        trainer = trl.SFTTrainer(
            LlamaForCausalLM(config),
            arguments(tmp_path, trl.SFTConfig, max_length=16, activation_checkpointing=False, **options),
            train_dataset=datasets.Dataset.from_list(data),
            processing_class=tokenizer,
            callbacks=[log],
        )
        (attach(trainer, *methods) if methods else trainer).train()
        entries.append(log.entries)
    for stock, weak, strong in zip(*entries, strict=True):
        for name in ("loss", "grad_norm", "entropy", "mean_token_accuracy", "num_tokens"):
            assert weak[name] == pytest.approx(stock[name], rel=1e-4, abs=1e-6), name
        assert strong["loss/r3f"] > 1e-3
        assert strong["loss"] == pytest.approx(strong["loss/task"] + strong["loss/r3f"], rel=1e-5)
