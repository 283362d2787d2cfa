"""Models, collators and batches of the user's own: they train as with the plain Trainer, or are told in one line."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from trainers import Log, arguments, rows, same
from transformers import BatchEncoding, BertConfig, BertForQuestionAnswering, Trainer, set_seed

from holdfast import R3F, Engine, HoldfastError, Mixout, RDrop, Vanilla, attach
from tiny import ENCODER, batch, classifier


class Net(nn.Module):
    """A body with two heads that are asked for in several forms."""

    def __init__(self, form="dictionary", dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.bert = classifier("bert", dropout=dropout).bert
        self.tone, self.topic, self.form = nn.Linear(32, 2), nn.Linear(32, 3), form

    def get_input_embeddings(self):
        return self.bert.get_input_embeddings()

    def forward(self, input_ids, attention_mask=None, labels=None, labels_topic=None):
        state = self.bert(input_ids, attention_mask).last_hidden_state[:, 0]
        tone, topic = self.tone(state), self.topic(state)
        loss = None if labels is None else cross_entropy(tone, labels)
        if labels_topic is not None:
            loss = loss + cross_entropy(topic, labels_topic)
        return {
            "dictionary": {"loss": loss, "logits": tone},
            "tuple": (loss, tone),
            "longer tuple": (loss, tone, state) if loss is not None else (tone, state),
            "list": [loss, tone],
            "two in a tuple": {"loss": loss, "logits": (tone, topic)},
            "two in a dictionary": {"loss": loss, "logits": {"tone": tone, "topic": topic}},
            "other names": {"loss": loss, "tone": tone, "topic": topic},
        }[self.form]


class LogitsAlone(Net):
    def forward(self, input_ids, attention_mask=None, labels=None):
        return self.tone(self.bert(input_ids, attention_mask).last_hidden_state[:, 0])


class Unpacking(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        loss, logits = model(**inputs)
        return (loss, (loss, logits)) if return_outputs else loss


class OfLogits(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        logits = model(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        loss = cross_entropy(logits, inputs["labels"])
        return (loss, {"logits": logits}) if return_outputs else loss


class Weighted(Trainer):
    """Takes a column out that the model does not know."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        weight, labels = inputs.pop("weight"), inputs.pop("labels")
        outputs = model(**inputs)
        loss = (cross_entropy(outputs["logits"], labels, reduction="none") * weight).mean()
        return (loss, outputs) if return_outputs else loss


def train(folder, model, *methods, kind=Trainer, data=None, **options):
    log = Log()
    data = rows(16) if data is None else data
    trainer = kind(
        model, arguments(folder, max_steps=3, **options), train_dataset=data, eval_dataset=data[:4], callbacks=[log]
    )
    if methods:
        attach(trainer, *methods)
    set_seed(3)
    trainer.train()
    return trainer, log


CASES = {
    "dictionary": (Net, "dictionary", Trainer),
    "tuple": (Net, "tuple", Trainer),
    "longer tuple": (Net, "longer tuple", Trainer),
    "list": (Net, "list", Trainer),
    "tuple taken apart": (Net, "tuple", Unpacking),
    "logits alone": (LogitsAlone, "", OfLogits),
}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "form", "kind"), CASES.values(), ids=CASES)
def test_whatever_form_its_outputs_have_it_trains(model, form, kind, tmp_path):
    options = {"kind": kind, "label_names": ["labels"]}
    stock, stock_log = train(tmp_path, model(form), **options)
    plain, _ = train(tmp_path, model(form), Vanilla(), **options)
    assert same(stock.model, plain.model)
    attached, log = train(tmp_path, model(form), R3F(sigma=0.3), **options)
    assert min(log.values("loss/r3f")) > 0
    assert log.values("loss/task")[0] == pytest.approx(stock_log.values("loss")[0], rel=1e-5)
    assert attached.evaluate()["eval_loss"] > 0


def test_forms_do_not_change_the_penalty(tmp_path):
    found = [train(tmp_path, Net(form), RDrop(), R3F(sigma=0.0))[1].entries for form in ("dictionary", "tuple")]
    assert [entry["loss"] for entry in found[0]] == pytest.approx([entry["loss"] for entry in found[1]], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_column_that_compute_loss_takes_out(accumulation, tmp_path):
    data = [row | {"weight": 0.5 + index % 3} for index, row in enumerate(rows(16))]
    options = {
        "kind": Weighted,
        "data": data,
        "remove_unused_columns": False,
        "gradient_accumulation_steps": accumulation,
    }
    stock, stock_log = train(tmp_path, Net(), **options)
    plain, _ = train(tmp_path, Net(), Vanilla(), **options)
    assert same(stock.model, plain.model), "Net takes no count of items, so that the Trainer divides"
    _, log = train(tmp_path, Net(), R3F(sigma=0.3), **options)
    assert log.values("loss/task")[0] == pytest.approx(stock_log.values("loss")[0], rel=1e-5)
    assert log.values("loss/r3f")[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("form", ["two in a tuple", "two in a dictionary", "other names"])
@pytest.mark.parametrize("columns", [1, 2])
def test_several_heads_train_with_methods_on_weights_and_are_told_of_by_others(form, columns, tmp_path):
    names = ["labels", "labels_topic"][:columns]
    topics = {"labels_topic": torch.tensor(1)} if columns == 2 else {}
    options = {"data": [row | topics for row in rows(16)], "label_names": names}
    stock, _ = train(tmp_path, Net(form), **options)
    attached, _ = train(tmp_path, Net(form), Mixout(drop=0.0), **options)
    assert same(stock.model, attached.model)
    trainer = Trainer(Net(form), arguments(tmp_path, label_names=names), train_dataset=options["data"])
    with pytest.raises(HoldfastError, match=r"on weights or gradients, such as mixout|use a model with a task head"):
        attach(trainer, R3F())
    assert type(trainer) is Trainer
    assert not any(module._forward_hooks for module in trainer.model.modules())


def test_looking_at_a_model_draws_nothing(tmp_path):
    """Batch statistics and random numbers are as without methods."""
    model = Net(dropout=0.1)
    model.norm = nn.BatchNorm1d(32)
    trainer = Trainer(model, arguments(tmp_path), train_dataset=rows(16))
    before, state = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    attach(trainer, R3F())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def answering(folder, *methods):
    data = rows(8)
    for row in data:
        del row["labels"]
        row |= {"start_positions": torch.tensor(1), "end_positions": torch.tensor(3)}
    torch.manual_seed(0)
    return train(folder, BertForQuestionAnswering(BertConfig(**ENCODER)), *methods, data=data)


def test_question_answering_trains_with_methods_on_weights(tmp_path):
    stock, plain = answering(tmp_path)[0], answering(tmp_path, Vanilla())[0]
    assert same(stock.model, plain.model)
    with pytest.raises(HoldfastError, match="question answering by positions is not supported by r3f"):
        answering(tmp_path, R3F())


@pytest.mark.parametrize("collated", [True, False])
def test_rows_without_labels_are_told_of(collated, tmp_path):
    data = [{key: value for key, value in row.items() if key != "labels"} for row in rows(8)]
    options = {} if collated else {"remove_unused_columns": False}
    with pytest.raises(HoldfastError, match=r"r3f compares the outputs of labelled rows.*such as mixout"):
        train(tmp_path, classifier("bert"), R3F(), data=data, **options)


# The engine

NAMED = {"input_ids": batch()["input_ids"], "attention_mask": batch()["attention_mask"], "labels": batch()["labels"]}


def engine(model=None, *methods):
    return Engine(model or classifier("bert"), methods or [R3F()], optimizer=torch.optim.AdamW)


def test_a_batch_without_names_is_told_how_to_name_it():
    loader = DataLoader(TensorDataset(*NAMED.values()), batch_size=4)
    trained = engine()
    for given in loader:
        with pytest.raises(HoldfastError, match=r"type list \(Tensor, Tensor, Tensor\).*dict\(zip\("):
            trained.loss(given)
        trained.loss(dict(zip(["input_ids", "attention_mask", "labels"], given, strict=True)))
        assert trained.terms["task"] == pytest.approx(float(classifier("bert")(**NAMED).loss), rel=1e-5)
    inputs = {"input_ids": NAMED["input_ids"]}
    with pytest.raises(HoldfastError, match=r"\(dict, Tensor\).*\{\*\*batch\[0\], 'labels': batch\[1\]\}"):
        trained.loss((inputs, NAMED["labels"]))


@pytest.mark.parametrize("method", [Vanilla(), R3F()], ids=["vanilla", "r3f"])
@pytest.mark.parametrize("name", ["labels", "input_ids"])
def test_lists_and_arrays_are_told_how_to_become_tensors(name, method):
    trained = engine(None, method)
    for given in (NAMED[name].tolist(), NAMED[name].numpy()):
        data = NAMED | {name: given}
        with pytest.raises(HoldfastError, match=rf"batch\['{name}'\] = torch.as_tensor\(batch\['{name}'\]\)"):
            trained.loss(data)
        trained.loss(data | {name: torch.as_tensor(given)})
    with pytest.raises(HoldfastError, match=r"'labels' of the batch holds words.*number them"):
        trained.loss(NAMED | {"labels": ["good", "bad", "good", "bad"]})


def test_other_mappings_and_models_of_ones_own():
    trained = engine()
    trained.loss(BatchEncoding(NAMED))
    assert trained.terms["task"] == pytest.approx(float(classifier("bert")(**NAMED).loss), rel=1e-5)
    trained = engine(Net("tuple"), R3F(sigma=0.3))
    trained.loss(NAMED)
    assert trained.terms["task"] == pytest.approx(float(Net()(**NAMED)["loss"]), rel=1e-5)
    assert trained.terms["r3f"] > 0
    with pytest.raises(HoldfastError, match=r"returned logits of 2 heads.*such as mixout"):
        engine(Net("two in a tuple")).loss(NAMED)
    engine(Net("two in a tuple"), Mixout()).loss(NAMED | {"labels_topic": torch.zeros(4, dtype=torch.long)})
