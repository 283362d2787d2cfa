"""Which tokens a language model is asked for: BERT's masks, T5's spans, the next token."""

import pytest
import torch
from text import SENTINELS, padded, sequences, text_tokenizer

from holdfast import HoldfastError
from holdfast.training.pretraining.corruption import check_tokenizer, check_words, corruption
from holdfast.training.pretraining.questions import IGNORED
from tiny import PAD, classifier, tokenizer


def ask(objective, batch, rate=0.15, seed=0, tokens=None):
    generator = torch.Generator().manual_seed(seed)
    found = corruption(objective, text_tokenizer() if tokens is None else tokens, rate, generator)
    return found(batch)


def share(part, whole):
    return float(part.sum()) / float(whole.sum())


def test_masks_are_those_of_bert():
    """15 % asked for; of these 80 % masked, 10 % another word, 10 % as they were; each share within four errors."""
    batch = sequences(400, 50)
    before = batch["input_ids"].clone()
    question = ask("masked", batch)
    assert torch.equal(batch["input_ids"], before)
    asked, given = question.labels != IGNORED, question.batch["input_ids"]
    assert torch.equal(question.labels[asked], before[asked])
    assert torch.equal(given[~asked], before[~asked])
    assert share(asked, torch.ones_like(asked)) == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / 20000) ** 0.5)
    masked, kept = given[asked] == text_tokenizer().mask_token_id, given[asked] == before[asked]
    assert share(masked, asked) == pytest.approx(0.8, abs=0.03)
    # One random word in 97 is the very one.
    assert share(kept, asked) == pytest.approx(0.1 + 0.1 / 97, abs=0.025)


@pytest.mark.parametrize("side", ["left", "right"])
def test_special_tokens_and_padding_are_never_asked_for(side):
    batch = padded(200, 12, side=side)
    real, special = batch["attention_mask"].bool(), batch["input_ids"] < 5
    asked = ask("masked", batch, 0.9).labels != IGNORED
    assert not asked[special | ~real].any()
    assert share(asked[real & ~special], torch.ones(int((real & ~special).sum()))) > 0.8


def test_padding_that_only_the_mask_tells_is_not_asked_for():
    batch = sequences(50)
    batch["attention_mask"][:, 6:] = 0
    assert not (ask("masked", batch, 0.9).labels[:, 6:] != IGNORED).any()


def test_masks_are_new_at_every_pass_and_the_same_for_a_seed():
    batch = sequences(20)
    found = corruption("masked", text_tokenizer(), 0.3, torch.Generator().manual_seed(3))
    first, second = found(batch).labels, found(batch).labels
    assert not torch.equal(first, second)
    assert torch.equal(first, ask("masked", batch, 0.3, seed=3).labels)


def undone(given, target, sentinels):
    """The text that a corrupted input and its target were made of, in plain Python."""
    spans, current = {}, None
    for token in target:
        if token in sentinels:
            current = token
            spans[current] = []
        else:
            spans[current].append(token)
    whole = []
    for token in given:
        whole += spans[token] if token in sentinels else [token]
    return whole


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_spans_put_back_give_the_text(rate):
    """By the definition: inputs and targets hold the same sentinels in order, and together every token once."""
    batch, tokens = padded(30, 24), text_tokenizer()
    # No word of the text is a sentinel.
    batch["input_ids"] = torch.where(batch["input_ids"] < 5, batch["input_ids"], 5 + batch["input_ids"] % 70)
    sentinels, end = tokens.convert_tokens_to_ids(list(SENTINELS)), tokens.eos_token_id
    question = ask("spans", batch, rate)
    cut = total = 0
    for row in range(30):
        ids, mask = batch["input_ids"][row], batch["attention_mask"][row].bool()
        text = [int(token) for token in ids[mask] if token != end]
        given = question.batch["input_ids"][row][question.batch["attention_mask"][row].bool()].tolist()
        target = question.labels[row][question.labels[row] != IGNORED].tolist()
        assert given[-1] == end
        assert target[-1] == end
        marks = [token for token in given if token in sentinels]
        assert marks == sentinels[: len(marks)]
        assert [token for token in target if token in sentinels] == sentinels[: len(marks) + 1]
        assert undone(given[:-1], target[:-1], sentinels) == text
        cut, total = cut + len(target) - len(marks) - 2, total + len(text)
    assert cut / total == pytest.approx(rate, abs=0.03)


def test_spans_are_three_tokens_on_average():
    question = ask("spans", sequences(40, 60), 0.3)
    sentinels = text_tokenizer().convert_tokens_to_ids(list(SENTINELS))
    starts = torch.isin(question.labels, torch.tensor(sentinels)).sum(1) - 1
    assert (60 * 0.3 / starts).mean() == pytest.approx(3.0)


def test_rows_too_short_to_be_cut_ask_for_nothing():
    batch = {
        "input_ids": torch.tensor([[7, 3, PAD, PAD], [7, 8, 9, 3]]),
        "attention_mask": torch.tensor([[1, 1, 0, 0], [1] * 4]),
    }
    question = ask("spans", batch)
    assert question.batch["input_ids"][0].tolist()[:2] == [7, 3]
    assert (question.labels[0] == IGNORED).all()
    assert (question.labels[1] != IGNORED).any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_next_token_is_asked_for_where_both_are_real(side):
    batch = padded(side=side)
    labels = ask("causal", batch).labels
    for row, mask, asked in zip(batch["input_ids"], batch["attention_mask"], labels, strict=True):
        for at in range(len(row)):
            following = at + 1 < len(row) and mask[at] and mask[at + 1]
            assert int(asked[at]) == (int(row[at + 1]) if following else IGNORED)


def test_tokenizers_that_cannot_ask():
    with pytest.raises(HoldfastError, match=r"surt needs the model's tokenizer.*processing_class"):
        check_tokenizer("masked", None, "surt")
    with pytest.raises(HoldfastError, match="surt cuts spans out of text, and the tokenizer has no <extra_id_0>"):
        check_tokenizer("spans", tokenizer(), "surt")
    check_tokenizer("causal", None, "surt")
    without = tokenizer()
    without.mask_token = None
    with pytest.raises(HoldfastError, match="has no mask token"):
        check_tokenizer("masked", without, "surt")


def test_words_that_the_model_does_not_embed():
    model, tokens = classifier("bert"), tokenizer()
    check_words(model, tokens, "surt")
    tokens.add_tokens(["unheard"])
    with pytest.raises(HoldfastError, match="it has 98 where BertForSequenceClassification embeds 97"):
        check_words(model, tokens, "surt")
    check_words(classifier("gpt2"), tokens, "surt")
    model.resize_token_embeddings(98, mean_resizing=False)
    check_words(model, tokens, "surt")
