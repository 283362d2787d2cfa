"""The engine trains what it is asked to train, whatever mode the model came in, and evaluates where it is told to."""

import copy
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from holdfast import EMA, R3F, Engine, HoldfastError, Mixout, Vanilla
from loops import adamw
from method_table import every_method
from tiny import batch, classifier, tokenizer

ROOT = Path(__file__).parents[2]


def loaded(folder, dropout=0.1):
    """In evaluation mode, as ``from_pretrained`` leaves it."""
    classifier("bert", dropout=dropout).save_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder)


def one_step(engine, seed=0):
    loss = engine.loss(batch(seed=seed))
    engine.backward(loss)
    engine.step()
    return engine.terms


@pytest.mark.slow
@every_method
def test_a_loaded_model_trains_as_one_in_training_mode(method):
    found = []
    for training in (True, False):
        model = classifier("bert", dropout=0.1).train(training)
        options = {"total_steps": 4, "data": [batch(seed=seed) for seed in range(2)], "tokenizer": tokenizer()}
        engine = Engine(model, [method], optimizer=adamw(), **options)
        torch.manual_seed(7)
        found.append([one_step(engine, seed) for seed in range(2)])
        found[-1].append([p.detach().clone() for p in model.parameters()])
    assert found[0][:2] == found[1][:2]
    assert all(torch.equal(a, b) for a, b in zip(found[0][2], found[1][2], strict=True))


@pytest.mark.parametrize("page", ["README.md", "docs/attach.md"])
def test_the_documented_loop_on_a_loaded_model_has_a_penalty(page, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "for batch in loader" in code)
    model = loaded(tmp_path)
    names = {"torch": torch, "model": model, "loader": [batch(seed=seed) for seed in range(4)]}
    exec(code, names)
    assert names["engine"].terms["r3f"] > 0
    assert names["engine"].steps > 0
    assert model.training


def test_it_is_told_once(tmp_path, caplog):
    engine = Engine(loaded(tmp_path), [R3F()], optimizer=adamw())
    one_step(engine)
    engine.model.eval()
    one_step(engine)
    assert engine.terms["r3f"] > 0, "evaluated by the caller, who forgot model.train()"
    assert caplog.text.count("put it into training mode") == 1
    caplog.clear()
    one_step(Engine(classifier("bert"), [R3F()], optimizer=adamw()))
    assert not caplog.text


def test_parts_that_the_user_put_into_evaluation_mode_stay_there(caplog):
    model = classifier("bert", dropout=0.5)
    model.bert.eval()
    one_step(Engine(model, [R3F()], optimizer=adamw()))
    assert model.training
    assert not any(module.training for module in model.bert.modules())
    assert not caplog.text


@pytest.mark.parametrize("without_gradient", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("training", [True, False])
def test_without_gradients_it_is_the_plain_loss_in_evaluation_mode(without_gradient, training):
    model, data = classifier("bert", dropout=0.5), batch()
    engine = Engine(model, [R3F(sigma=1.0), Mixout()], optimizer=adamw())
    model.train(training)
    with without_gradient():
        found = engine.loss(data)
    expected = classifier("bert", dropout=0.5).eval()(**data).loss
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert engine.terms.keys() == {"task"}
    assert model.training is training


def test_evaluate_puts_modes_back_also_after_an_error():
    model = classifier("bert", dropout=0.5)
    model.bert.encoder.eval()
    modes = [module.training for module in model.modules()]
    engine = Engine(model, [EMA()], optimizer=adamw())
    one_step(engine)
    before = [p.detach().clone() for p in model.parameters()]
    found = []

    def evaluation():
        with engine.evaluate():
            found.extend([any(module.training for module in model.modules()), torch.is_grad_enabled()])
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        evaluation()
    assert found == [False, False]
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert one_step(engine).keys() == {"task"}


def test_what_would_train_inside_an_evaluation_is_refused():
    engine = Engine(classifier("bert"), [R3F()], optimizer=adamw())
    with (
        engine.evaluate(),
        pytest.raises(HoldfastError, match=r"loss without gradient: call engine.loss\(\)"),
    ):
        engine.backward(engine.loss(batch()))
    with engine.evaluate(), pytest.raises(HoldfastError, match=r"engine.step\(\) inside engine.evaluate\(\)"):
        engine.step()


def test_after_finish_there_is_evaluation_and_no_training():
    data = batch(seed=3)
    engine = Engine(classifier("bert"), [EMA(), R3F()], optimizer=adamw())
    for seed in range(3):
        one_step(engine, seed)
    engine.finish()
    with engine.evaluate():
        found = float(engine.loss(data))
    assert found == pytest.approx(float(engine.model.eval()(**data).loss), rel=1e-6)
    before = [p.detach().clone() for p in engine.model.parameters()]
    engine.finish()
    assert all(torch.equal(a, b) for a, b in zip(before, engine.model.parameters(), strict=True))
    for call in (lambda: engine.loss(data), engine.step):
        with pytest.raises(HoldfastError, match=r"after engine.finish\(\).*build a new Engine"):
            call()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*checkpointing.*:FutureWarning")
def test_compiled_models_and_adapters_are_put_into_training_mode(tmp_path):
    import peft

    torch._dynamo.reset()
    compiled = torch.compile(classifier("bert", dropout=0.1).eval(), backend="eager")
    adapted = peft.get_peft_model(loaded(tmp_path), peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    for model in (compiled, adapted.eval()):
        engine = Engine(model, [R3F()], optimizer=adamw())
        assert one_step(engine)["r3f"] > 0
        assert all(module.training for module in model.modules())


def test_wrapped_for_several_processes_it_is_put_into_training_mode():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(classifier("bert", dropout=0.1).eval())
        engine = Engine(wrapped, [R3F()], optimizer=adamw())
        assert one_step(engine)["r3f"] > 0
        assert wrapped.training
        wrapped.module.eval()
        assert one_step(engine)["r3f"] > 0
        assert wrapped.module.training
    finally:
        torch.distributed.destroy_process_group()


def test_without_methods_it_is_the_loop_without_the_engine(tmp_path):
    """Dropout included: bit for bit."""
    model = loaded(tmp_path)
    plain = copy.deepcopy(model).train()
    engine, optimizer = Engine(model, [Vanilla()], optimizer=adamw(), max_grad_norm=None), adamw()(plain.parameters())
    torch.manual_seed(7)
    for seed in range(3):
        one_step(engine, seed)
    torch.manual_seed(7)
    for seed in range(3):
        plain(**batch(seed=seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
