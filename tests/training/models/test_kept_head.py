"""A checkpoint's own head: kept by the names of its classes, whatever their order, else drawn anew; either is told."""

import re
import unicodedata

import pytest
import torch
import transformers as t

from holdfast import HoldfastError
from holdfast.cli.main import main
from holdfast.records.model_source import ModelSource
from holdfast.records.task import TaskSpec
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from holdfast.tasks.load import load_task
from holdfast.training.models.kept_head import places_by_name
from holdfast.training.models.loading import load_model, name_classes
from holdfast.training.task_models import task_model_of
from tiny import CLASSIFIERS, batch, classifier, save_model


def named(folder, name, classes):
    """Write a classifier of ``classes`` with a tokenizer; return it, to be asked for its logits."""
    save_model(folder, name)
    model = classifier(name, labels=len(classes))
    name_classes(model.config, tuple(classes))
    model.save_pretrained(folder)
    return model.eval()


def logits(model):
    rows = batch()
    del rows["labels"]
    with torch.no_grad():
        found = model.eval()(**rows).logits
    return {model.config.id2label[place].lower(): found[:, place] for place in range(found.shape[1])}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_head_of_the_same_classes_gives_each_the_logits_it_gave(name, tmp_path):
    before = logits(named(tmp_path, name, ["Neutral", "positive", "NEGATIVE"]))
    loaded = load_model(ModelSource(str(tmp_path)), 3, ("negative", "neutral", "positive"))
    after = logits(loaded)
    assert loaded.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    assert list(after) == ["negative", "neutral", "positive"]
    for label, values in before.items():
        torch.testing.assert_close(after[label], values)
    # What is saved says the same, to whoever loads it without Holdfast.
    loaded.save_pretrained(tmp_path / "saved")
    again = logits(t.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved"))
    for label, values in before.items():
        torch.testing.assert_close(again[label], values)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_head_of_other_classes_is_drawn_from_the_seed_and_nothing_else_is(name, tmp_path):
    theirs = dict(named(tmp_path, name, ["spam", "ham"]).named_parameters())
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dict(load_model(ModelSource(str(tmp_path)), 2, ("no", "yes")).named_parameters()))
    moved = {key for key, value in drawn[0].items() if not torch.equal(value, theirs[key])}
    assert len(moved) == 1, "the output layer's matrix; its bias is zero at first, in both"
    key = moved.pop()
    assert drawn[0][key].shape[0] == 2
    assert torch.equal(drawn[0][key], drawn[1][key])
    assert not torch.equal(drawn[0][key], drawn[2][key])
    # As random as the one that it was made with.
    assert drawn[0][key].detach().std() == pytest.approx(theirs[key].detach().std(), rel=0.5)


def test_a_head_of_another_number_of_classes_is_drawn_as_ever(tmp_path):
    named(tmp_path, "roberta", ["a", "b", "c"])
    torch.manual_seed(3)
    ours = load_model(ModelSource(str(tmp_path)), 2, ("a", "b"))
    torch.manual_seed(3)
    plain = t.AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=2, ignore_mismatched_sizes=True)
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("theirs", "ours", "places"),
    [
        (["b", "a"], ["a", "b"], (1, 0)),
        (["Positive", "NEGATIVE"], ["negative", "positive"], (1, 0)),
        (["not_entailment", "entailment"], ["entailment", "not entailment"], (1, 0)),
        (["é", "a"], ["a", unicodedata.normalize("NFD", "é")], (1, 0)),
        (["LABEL_0", "LABEL_1", "LABEL_2"], ["0", "1", "2"], (0, 1, 2)),
        (["2", "10"], ["10", "2"], (1, 0)),
        # Transformers made the names up, so they say nothing of these.
        (["LABEL_0", "LABEL_1"], ["negative", "positive"], None),
        (["LABEL_0", "LABEL_1"], ["1", "2"], None),
        (["a", "c"], ["a", "b"], None),
        (["a", "b", "c"], ["a", "b"], None),
        (["-1", "0"], ["0", "1"], None),
        # Two names that only differ in case are two classes.
        (["A", "a"], ["a", "A"], (1, 0)),
        (["A", "a"], ["a", "Ā"], None),
        (["a", "a"], ["a", "b"], None),
    ],
)
def test_names_that_are_the_same(theirs, ours, places):
    assert places_by_name(theirs, ours) == places


def csv(header, *rows):
    """Twenty of each of ``rows``, all different."""
    return "\n".join([header, *(row.replace("N", str(place)) for place in range(20) for row in rows)]) + "\n"


FILES = {
    "classes": csv("text,label", "good film N,yes", "bad meal N,no"),
    "numbers": csv("text,score", "good film N,N.5", "bad meal N,N.25"),
    "binary": csv("text,label", "good film N,1", "bad meal N,0"),
    "choices": csv("premise,choice1,choice2,label", "the film N was,good,bad,0", "the meal N was,fine,poor,1"),
    "words": csv("", "good O\nfilm B-ART\n", "bad O\nmeal B-FOOD\n"),
}
HEADS = {
    "AutoModelForSequenceClassification": t.BertForSequenceClassification,
    "AutoModelForTokenClassification": t.BertForTokenClassification,
    "AutoModelForMultipleChoice": t.BertForMultipleChoice,
}


def told(tmp_path, rows, kind, classes):
    """Return the notes of a study of ``rows`` about a model with a head, and whether it is kept by a run."""
    model = save_model(tmp_path / "model")
    config = classifier("bert").config
    config.problem_type = None
    name_classes(config, tuple(classes))
    before = kind(config)
    before.save_pretrained(model)
    file = tmp_path / f"rows.{'conll' if rows == 'words' else 'csv'}"
    file.write_text(FILES[rows])
    study = from_options({"tasks": [str(file)], "model": model, "settings": {"max_length": 16}, "seeds": 1})
    prepared = prepare(study)
    loaded = task_model_of(prepared.grid[0], prepared.tasks[0]).load()
    kept = torch.equal(loaded.classifier.weight.sort(0).values, before.classifier.weight.sort(0).values)
    return " | ".join(note for note in prepared.stored[0].info.notes if "the model's own head" in note), kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "kind", "classes", "kept", "said"),
    [
        (
            "classes",
            "Sequence",
            ["yes", "no"],
            True,
            r"in another order \(yes, no\), put in the task's, and is kept; seeds do not redraw it",
        ),
        ("classes", "Sequence", ["no", "yes"], True, "is of these classes and is kept; seeds do not redraw it"),
        ("classes", "Sequence", ["LABEL_0", "LABEL_1"], False, r"other classes \(LABEL_0, LABEL_1\).*in id2label"),
        ("classes", "Sequence", ["ham", "spam"], False, r"other classes \(ham, spam\): .* drawn anew with every seed"),
        ("classes", "Token", ["no", "yes"], False, r"own head \(BertForTokenClassification\) is none for this task"),
        ("binary", "Sequence", ["LABEL_0", "LABEL_1"], True, "is of these classes and is kept"),
        ("numbers", "Sequence", ["LABEL_0"], True, "gives a number, is kept, with its scale"),
        ("numbers", "Choice", ["LABEL_0"], False, r"own head \(BertForMultipleChoice\) is none for this task"),
        ("words", "Token", ["O", "B-FOOD", "B-ART"], True, "in another order .O, B-FOOD, B-ART."),
        ("words", "Token", ["O", "B-PER", "B-LOC"], False, "other classes"),
        ("words", "Sequence", ["B-ART", "B-FOOD", "O"], False, r"\(BertForSequenceClassification\) is none for"),
        ("choices", "Choice", ["LABEL_0", "LABEL_1"], True, "scores choices, is kept"),
        ("choices", "Sequence", ["LABEL_0"], False, r"\(BertForSequenceClassification\) is none for"),
    ],
)
def test_what_becomes_of_a_head_is_told_before_a_run_and_done_in_it(tmp_path, rows, kind, classes, kept, said):
    names = {"Sequence": "SequenceClassification", "Token": "TokenClassification", "Choice": "MultipleChoice"}
    note, stays = told(tmp_path, rows, HEADS[f"AutoModelFor{names[kind]}"], classes)
    assert stays is kept
    assert re.search(said, note), note


@pytest.mark.parametrize("kind", [t.BertModel, t.BertForMaskedLM])
def test_nothing_is_told_of_models_without_a_head(tmp_path, kind):
    model = save_model(tmp_path / "model")
    kind(classifier("bert").config).save_pretrained(model)
    (tmp_path / "rows.csv").write_text(FILES["classes"])
    study = from_options({"tasks": [str(tmp_path / "rows.csv")], "model": model, "settings": {"max_length": 16}})
    assert not [note for note in prepare(study).stored[0].info.notes if "head" in note]


@pytest.mark.slow
def test_a_tuned_model_goes_on_as_it_was_with_its_classes_in_another_order(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text(FILES["classes"])
    common = ("--method", "vanilla", "--max-length", "16", "--threads", "1")
    model = save_model(tmp_path / "model")
    tuned, turned, again = (str(tmp_path / name) for name in ("tuned", "turned", "again"))
    rows = str(tmp_path / "rows.csv")
    assert main(["tune", rows, "--model", model, "--learning-rate", "1e-2", *common, "--out", tuned]) == 0
    assert "accuracy 100.0" in capsys.readouterr().out
    other = t.AutoModelForSequenceClassification.from_pretrained(tuned)
    with torch.no_grad():
        for part in (other.classifier.weight, other.classifier.bias):
            part.copy_(part.flip(0))
    name_classes(other.config, ("yes", "no"))
    other.save_pretrained(turned)
    t.AutoTokenizer.from_pretrained(tuned).save_pretrained(turned)
    little = ("--max-steps", "1", "--learning-rate", "1e-7")
    assert main(["tune", rows, "--model", turned, *little, *common, "--out", again]) == 0
    said = capsys.readouterr()
    assert "accuracy 100.0" in said.out
    assert "note: rows: the model's own head is of these classes in another order (yes, no)" in said.err
    assert load_task(TaskSpec(source=rows)).label_names == ("no", "yes")
    assert t.AutoConfig.from_pretrained(again).id2label == {0: "no", 1: "yes"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vocab_size": 101}, r"are of another size than its config.json says, such as bert\.embeddings"),
        ({"intermediate_size": 64}, r"are of another size than its config.json says, such as bert\.encoder"),
        ({"num_hidden_layers": 3}, r"lack whole blocks that its config.json counts, such as bert\.encoder\.layer\.2"),
    ],
)
def test_weights_of_another_configuration_are_refused(tmp_path, changed, told):
    model = save_model(tmp_path)
    config = t.AutoConfig.from_pretrained(model)
    config.update(changed)
    config.save_pretrained(model)
    with pytest.raises(HoldfastError, match=f"its weights {told}") as error:
        load_model(ModelSource(model), 2)
    assert "\n" not in str(error.value)
