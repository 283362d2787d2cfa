"""What is learned of a model's head, and the models whose loss no formula gives."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForTokenClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from holdfast import R3F, HoldfastError, Vanilla
from loops import engine
from tiny import batch, classifier

SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": 1,
}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def embedded_rows(model, module):
    found = []
    module.register_forward_pre_hook(lambda m, args: found.append(len(args[0])))
    return found


def test_learning_leaves_frozen_parts_in_evaluation_mode():
    """A frozen body that the user put into evaluation mode must not get its dropout back."""
    model = classifier("bert", dropout=0.5)
    model.bert.eval()
    engine(model, R3F()).loss(batch())
    assert model.training
    assert not any(module.training for module in model.bert.modules())


def test_the_extra_loss_of_a_mixture_of_experts_is_kept():
    """It is small enough for another formula to give the same value by chance."""
    torch.manual_seed(0)
    sizes = {key: value for key, value in SIZES.items() if key != "pad_token_id"}
    model = MixtralForCausalLM(
        MixtralConfig(
            **sizes, num_key_value_heads=2, num_local_experts=4, output_router_logits=True, router_aux_loss_coef=1e-5
        )
    ).train()
    data = {"input_ids": batch()["input_ids"]}
    data["labels"] = data["input_ids"].clone()
    trained = engine(model, R3F(sigma=0.1))
    trained.loss(data)
    head = trained._objective.head
    assert (head.kind, head.formula, head.shifts) == ("tokens", None, True)
    assert trained.terms["task"] == float(model(**data).loss)


def test_an_untrained_language_model_still_predicts_the_next_token():
    """With an output layer of zeros every formula gives the log of the vocabulary's size."""
    model = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2)).train()
    torch.nn.init.zeros_(model.lm_head.weight)
    data = {"input_ids": batch()["input_ids"]}
    data["labels"] = data["input_ids"].clone()
    trained = engine(model, R3F())
    trained.loss(data)
    assert trained._objective.head.shifts


def test_labels_in_a_column_are_stacked_like_labels_in_a_row():
    model, data = classifier("bert", labels=3), batch(labels=3)
    data["labels"] = data["labels"][:, None]
    trained = engine(model, R3F())
    sizes = embedded_rows(model, model.bert.embeddings.word_embeddings)
    trained.loss(data)
    assert sizes[-1] == 8
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)


def test_a_model_that_takes_no_labels_leaves_the_loss_to_its_trainer():
    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.out = torch.nn.Embedding(97, 16), torch.nn.Linear(16, 3)

        def get_input_embeddings(self):
            return self.embedding

        def forward(self, input_ids, attention_mask=None):
            return {"logits": self.out(self.embedding(input_ids).mean(1))}

    model, data = Bare(), batch(labels=3)
    trained = engine(model, R3F())
    trained._objective.learn(data)
    assert trained._objective.head.kind == "single_label"
    assert not trained._objective.head.counts_items


def test_multiple_choice_gets_noise_on_every_choice():
    """Batches of shape (rows, choices, tokens), which the model lays out as rows."""
    torch.manual_seed(0)
    model = BertForMultipleChoice(BertConfig(**SIZES, **STILL, initializer_range=0.2)).train()
    flat = batch(rows=6)
    data = {key: flat[key].view(2, 3, -1) for key in ("input_ids", "attention_mask")}
    data["labels"] = torch.tensor([0, 2])
    trained = engine(model, R3F(sigma=0.3))
    sizes = embedded_rows(model, model.bert.encoder.layer[0])
    trained.loss(data)
    assert sizes[-1] == 12
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)
    assert trained.terms["r3f"] > 0
    still = engine(model, R3F(sigma=0.0))
    still.loss(data)
    assert still.terms["r3f"] == 0.0


def test_a_batch_without_a_labelled_token_teaches_and_costs_nothing():
    torch.manual_seed(0)
    model = BertForTokenClassification(BertConfig(**SIZES, **STILL, num_labels=5)).train()
    empty = batch() | {"labels": torch.full((4, 10), -100)}
    trained = engine(model, R3F(sigma=0.3))
    loss = trained.loss(empty)
    assert float(loss) == 0.0
    assert trained.terms == {"task": 0.0, "r3f": 0.0}
    trained.backward(loss)
    assert trained.step()
    data = batch() | {"labels": torch.randint(0, 5, (4, 10))}
    trained.loss(data)
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)
    assert trained.terms["r3f"] > 0


def test_texts_packed_into_one_row_are_not_stacked():
    """Attention kernels look for several texts in single rows only."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2)).train()
    ids = torch.randint(5, 97, (1, 9))
    data = {"input_ids": ids, "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]]), "labels": ids.clone()}
    trained = engine(model, R3F(sigma=0.1))
    sizes = embedded_rows(model, model.model.embed_tokens)
    for _ in range(2):
        sizes.clear()
        trained.loss(data)
    assert sizes == [1, 1]
    sizes.clear()
    trained.loss({"input_ids": ids.repeat(2, 1), "labels": ids.repeat(2, 1)})
    assert sizes == [4]


@pytest.mark.parametrize("method", [Vanilla(), R3F(sigma=0.3)], ids=["vanilla", "r3f"])
def test_models_that_return_tuples_train_as_those_that_name_their_outputs(method):
    terms = []
    for named in (True, False):
        model = classifier("bert")
        model.config.return_dict = named
        trained = engine(model, method, seed=3)
        torch.manual_seed(1)
        trained.loss(batch())
        terms.append(trained.terms)
    assert terms[0]["task"] == pytest.approx(terms[1]["task"], rel=1e-6)
    assert terms[0] == pytest.approx(terms[1], rel=1e-5)


@pytest.mark.parametrize("method", [Vanilla(), R3F()], ids=["vanilla", "r3f"])
def test_models_without_a_loss_are_refused(method):
    with pytest.raises(HoldfastError, match="returned no loss"):
        engine(BertModel(BertConfig(**SIZES)).train(), method).loss(batch())


def test_question_answering_is_refused_by_its_name():
    data = batch()
    data["start_positions"] = data["end_positions"] = data.pop("labels")
    with pytest.raises(HoldfastError, match="question answering by positions is not supported"):
        engine(BertForQuestionAnswering(BertConfig(**SIZES)), R3F()).loss(data)


def test_logits_that_do_not_match_the_labels_are_refused():
    """As from prompt tuning, which adds positions, and from images."""
    model, data = classifier("bert"), batch()
    plain = model.forward

    def forward(input_ids=None, attention_mask=None, labels=None):
        found = plain(input_ids=input_ids, attention_mask=attention_mask)
        found["logits"] = found["logits"][:, :, None].expand(-1, -1, 5)
        found["loss"] = found["logits"].sum()
        return found

    model.forward = forward
    data["labels"] = torch.zeros(4, 7, dtype=torch.long)
    with pytest.raises(HoldfastError, match=r"logits of shape \(4, 2, 5\), which do not match its labels"):
        engine(model, R3F()).loss(data)
    trained = engine(model, Vanilla())
    assert float(trained.loss(data).detach()) == trained.terms["task"]
