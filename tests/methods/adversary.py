"""Models of every task, and what the tests of adversarial methods look at."""

import torch
from last_layer import CALM, SIZES
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMultipleChoice, BertForTokenClassification

from holdfast import Engine
from tiny import batch, classifier

TASKS = ("three classes", "regression", "independent labels", "tokens", "choices")


def task(kind):
    """A BERT and a batch with padding."""
    torch.manual_seed(0)
    data = batch(rows=6, labels=3)
    if kind == "three classes":
        return classifier("bert", labels=3), data
    if kind == "regression":
        return classifier("bert", labels=1, problem="regression"), data | {"labels": torch.linspace(-1, 1, 6)}
    if kind == "independent labels":
        labels = (torch.arange(18).view(6, 3) % 2).float()
        return classifier("bert", labels=3, problem="multi_label_classification"), data | {"labels": labels}
    if kind == "tokens":
        model = BertForTokenClassification(BertConfig(num_labels=3, pad_token_id=1, **SIZES, **CALM)).train()
        return model, data | {"labels": torch.where(data["attention_mask"] == 1, data["input_ids"] % 3, -100)}
    data = {key: value.view(3, 2, 10) for key, value in data.items() if key != "labels"}
    return BertForMultipleChoice(BertConfig(**SIZES, **CALM)).train(), data | {"labels": torch.tensor([0, 1, 0])}


def words(model, data):
    """The embeddings of the tokens, (sequences, tokens, width)."""
    return model.bert.embeddings.word_embeddings(data["input_ids"].flatten(0, -2))


def run(model, data, embeddings):
    """The model on embeddings in place of ids."""
    shape = (*data["input_ids"].shape, -1)
    inputs = {key: value for key, value in data.items() if key != "input_ids"}
    return model(inputs_embeds=embeddings.view(shape), **inputs)


class Passes(list):
    """What the model's token embedding gives out in each pass, perturbed: make it after the engine."""

    def __init__(self, model):
        table = model.get_input_embeddings()
        self.handle = table.register_forward_hook(lambda module, args, output: self.append(output.detach()))


def difference(one, two):
    """The largest difference between two models' weights."""
    return max(float((a - b).abs().max()) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def flops(*methods):
    """Floating-point operations of one step's loss and backward."""
    data = batch(rows=8, tokens=32)
    trained = Engine(classifier("bert"), methods, optimizer=lambda p: torch.optim.SGD(p, 0.1))
    trained.backward(trained.loss(data))  # the first loss also learns the head
    with FlopCounterMode(display=False) as counter:
        trained.backward(trained.loss(data))
    return counter.get_total_flops()
