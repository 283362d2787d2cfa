"""References: linear models by scikit-learn's own hand on the same rows, and their place in a study."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

from holdfast.records.run import RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from holdfast.study.run.study_runner import remake_results
from holdfast.study.run.time_estimate import Estimate
from holdfast.study.run.train_and_measure import run
from holdfast.study.store.run_store import Store
from holdfast.tasks import draw_subset
from holdfast.tasks.task import Split, Task
from study import studies
from tiny import WORDS, save_model

SETTINGS = TrainingSettings(max_length=32, eval_batch_size=7)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


def rows(count, seed, pairs=False, kind="classification"):
    draw = np.random.default_rng(seed)
    first, second = ([" ".join(draw.choice(WORDS, size=draw.integers(2, 9))) for _ in range(count)] for _ in range(2))
    share = [text.count("good") - text.count("bad") + draw.normal() for text in first]
    labels = share if kind == "regression" else [int(value > 0.3) + int(value > 1.2) for value in share]
    return Split(first, second if pairs else None, labels, [f"row-{row}" for row in range(count)])


def task(train, scored, kind="classification", names=("low", "middle", "high"), metrics=("accuracy", "macro_f1")):
    return Task("words", kind, {"train": train, "validation": scored}, names, metrics, fingerprint="rows of words")


def fitted(given, reference, model="no model", folder=None, **changes):
    spec = RunSpec(
        model=str(model),
        task=TaskSpec(source="words"),
        data=given.fingerprint,
        method="",
        seed=0,
        data_seed=0,
        settings=SETTINGS,
        reference=reference,
        **changes,
    )
    return run(spec, given, folder, lambda progress: None, {})


def searched(train, labels, scored):
    """The predictions of the strength that a search finds, and the strength."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(
        LogisticRegression(max_iter=100), {"C": np.logspace(-4, 4, 10)}, cv=folds, scoring="neg_log_loss"
    )
    search.fit(train, labels)
    return search.predict(scored), search.best_params_["C"]


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_tfidf_is_that_of_words_and_pairs_of_words_of_the_training_rows():
    train, scored = rows(90, 0), rows(60, 1)
    record = fitted(task(train, scored), "tfidf")
    words = TfidfVectorizer(ngram_range=(1, 2))
    predicted, strength = searched(words.fit_transform(train.texts), train.labels, words.transform(scored.texts))
    assert record.metrics["accuracy"] == accuracy_score(scored.labels, predicted)
    assert record.metrics["macro_f1"] == pytest.approx(f1_score(scored.labels, predicted, average="macro"))
    assert record.facts == {"folds": 5, "strength": pytest.approx(strength)}
    assert (record.train_rows, record.scored_rows, record.scored_split) == (90, 60, "validation")
    assert record.metrics == fitted(task(train, scored), "tfidf").metrics


def test_both_texts_of_a_pair_have_their_own_words():
    train, scored = rows(90, 2, pairs=True), rows(60, 3, pairs=True)
    sides = [TfidfVectorizer(ngram_range=(1, 2)) for _ in range(2)]
    learnt = hstack([sides[0].fit_transform(train.texts), sides[1].fit_transform(train.pairs)]).tocsr()
    read = hstack([sides[0].transform(scored.texts), sides[1].transform(scored.pairs)]).tocsr()
    predicted, _ = searched(learnt, train.labels, read)
    assert fitted(task(train, scored), "tfidf").metrics["accuracy"] == accuracy_score(scored.labels, predicted)


@torch.no_grad()
def means(folder, split):
    """Of each row alone: the mean over its tokens of the last layer."""
    tokenizer, body = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    pairs = split.pairs or [None] * len(split)
    return np.stack(
        [
            body(**tokenizer(text, pair, return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
            for text, pair in zip(split.texts, pairs, strict=True)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [False, True])
def test_frozen_embeddings_are_the_means_of_the_models_last_layer(model, tmp_path, pairs):
    train, scored = rows(90, 4, pairs), rows(60, 5, pairs)
    record = fitted(task(train, scored), "embeddings", model, tmp_path)
    scaler = StandardScaler()
    learnt, read = scaler.fit_transform(means(model, train)), scaler.transform(means(model, scored))
    predicted, strength = searched(learnt, train.labels, read)
    assert record.metrics["accuracy"] == accuracy_score(scored.labels, predicted)
    assert record.facts["strength"] == pytest.approx(strength)
    assert not (tmp_path / "features").exists()


def test_the_rows_are_those_that_methods_train_on():
    train, scored = rows(90, 6), rows(60, 7)
    given = task(train, scored)
    drawn = draw_subset(train, 40, 3, "classification")
    record = fitted(given, "tfidf", train_size=40, subset_seed=3)
    assert record.train_rows == 40
    assert record.metrics == fitted(replace(given, splits={"train": drawn, "validation": scored}), "tfidf").metrics


def test_numbers_are_predicted_by_ridge_regression():
    train, scored = rows(90, 8, kind="regression"), rows(60, 9, kind="regression")
    record = fitted(task(train, scored, "regression", (), ("pearson", "spearman")), "tfidf")
    words = TfidfVectorizer(ngram_range=(1, 2))
    search = GridSearchCV(
        Ridge(),
        {"alpha": [10.0**power for power in range(-4, 5)]},
        cv=KFold(5, shuffle=True, random_state=0),
        scoring="neg_mean_squared_error",
    )
    search.fit(words.fit_transform(train.texts), train.labels)
    predicted = search.predict(words.transform(scored.texts))
    assert record.metrics["pearson"] == pytest.approx(np.corrcoef(predicted, scored.labels)[0, 1])
    assert record.facts == {"folds": 5, "strength": pytest.approx(search.best_params_["alpha"])}
    assert record.constant_scores == {"pearson": 0.0, "spearman": 0.0}


def of_classes(*classes):
    split = rows(len(classes), 10)
    return replace(split, labels=list(classes))


@pytest.mark.parametrize(
    ("classes", "facts"),
    [
        ([0] * 9 + [1] * 3, {"folds": 3}),
        ([0] * 9 + [1] * 2 + [2] * 2, {"folds": 2}),
        ([0] * 9 + [1], {"folds": 0, "strength": 1.0}),
        ([0, 1, 2], {"folds": 0, "strength": 1.0}),
        ([2] * 6, {"folds": 0}),
        ([2], {"folds": 0}),
    ],
)
@pytest.mark.parametrize("reference", ["tfidf", "embeddings"])
def test_few_rows_of_a_class_take_fewer_folds_or_a_fixed_strength(classes, facts, reference, model, tmp_path):
    scored = of_classes(0, 1, 2, 2)
    record = fitted(task(of_classes(*classes), scored), reference, model, tmp_path)
    assert {name: record.facts[name] for name in facts} == facts
    assert ("strength" in record.facts) == (len(set(classes)) > 1)
    if len(set(classes)) == 1:
        assert record.metrics["accuracy"] == 0.5


def test_one_row_with_a_number_is_enough():
    train, scored = rows(1, 11, kind="regression"), rows(5, 12, kind="regression")
    record = fitted(task(train, scored, "regression", (), ("pearson",)), "tfidf")
    assert record.facts == {"folds": 0, "strength": 1.0}
    assert record.metrics["pearson"] is None, "a constant has no correlation"


def plan_of(path, model, **options):
    keys = {"methods": ["vanilla"], "seeds": 1, "workers": 0, "settings": {"max_steps": 1, "max_length": 32}}
    tasks = [{"source": str(path), "text": "text", "label": "label"}]
    return prepare(from_options({"tasks": tasks, "model": str(model), **keys, **options}))


@pytest.fixture(scope="module")
def study(model, tmp_path_factory):
    """A study of a method on two numbers of rows, done, without what tells times."""
    folder = tmp_path_factory.mktemp("study")
    data = studies.write_csv(folder / "tickets.csv", rows=60)
    return plan_of(data, model, train_size=[20, 40]), data, folder / "out"


def timeless(summary):
    content = studies.timeless(summary)
    for row in content["references"]:
        row["seconds"] = None
    return content


@pytest.mark.slow
def test_a_study_fits_each_reference_once_for_every_number_of_rows(study, model, tmp_path):
    plan, data, out = study
    heard = studies.Heard()
    summary = studies.run(plan, out, heard)
    # They take seconds, and so come first.
    assert [spec.reference for spec in plan.grid] == [None, None, "tfidf", "embeddings", "tfidf", "embeddings"]
    assert [method for method, *_ in heard.ends] == ["", "", "", "", "vanilla", "vanilla"]
    rows = [(row.task, row.reference, row.note) for row in summary.references]
    assert rows == [
        (f"tickets ({size} rows)", reference, "") for size in (20, 40) for reference in ("tfidf", "embeddings")
    ]
    records = Store(out).records()
    for row, spec in zip(summary.references, plan.grid[2:], strict=True):
        assert row.score == row.metrics["accuracy"] == 100 * records[spec.id].metrics["accuracy"]
        assert row.seconds == records[spec.id].seconds > 0
    # Nothing else of the study knows of them.
    alone = timeless(studies.run(plan_of(data, model, train_size=[20, 40], references=False), tmp_path / "alone"))
    assert alone["references"] == []
    assert timeless(summary) | {"references": []} == alone
    assert (out / "report.html").read_text() == "page of 2 runs"


def test_what_is_missing_of_them_is_fitted_when_the_study_goes_on(study):
    plan, _, out = study
    before = studies.run(plan, out)
    lost = plan.grid[3]
    (out / "runs" / lost.id / "record.json").unlink()
    assert len(remake_results(out, studies.PLAIN).references) == 3
    heard = studies.Heard()
    after = studies.run(plan, out, heard)
    assert [end[:3] for end in heard.ends] == [("", 0, "finished")]
    assert timeless(after) == timeless(before)


def test_a_folder_of_a_study_without_them_takes_them_in(study, model, tmp_path):
    _, data, _ = study
    before = studies.run(plan_of(data, model, references=False), tmp_path)
    after = studies.run(plan_of(data, model), tmp_path)
    assert (len(before.references), len(after.references)) == (0, 2)
    assert timeless(after) | {"references": []} == timeless(before)


def test_one_that_cannot_be_fitted_is_a_note(model, tmp_path):
    data = tmp_path / "signs.csv"
    signs = ["".join("!?"[row >> place & 1] + " " for place in range(5)) for row in range(32)]
    data.write_text("text,label\n" + "".join(f"{sign},{'ab'[row % 2]}\n" for row, sign in enumerate(signs)))
    summary = studies.run(plan_of(data, model), tmp_path / "out")
    words, states = summary.references
    assert (words.score, words.strength) == (None, None)
    assert words.note.startswith("could not be fitted (ValueError: empty vocabulary")
    assert states.score is not None
    assert summary.errors == []
    assert summary.results[0].missing == 0


def test_tasks_without_a_class_or_a_number_a_row_and_large_ones_have_none(study, monkeypatch):
    from holdfast.study.plan.references import reference_runs, too_many_rows

    plan, _, _ = study
    (one,) = plan.tasks
    (spec,) = plan.study.tasks
    sizes = {(spec.source, 20): 20, (spec.source, 40): 20_001}
    assert [run.train_size for run in reference_runs(plan.study, {spec: one}, sizes)] == [20, 20]
    for kind in ("tokens", "choice", "generation"):
        assert reference_runs(plan.study, {spec: replace(one, kind=kind)}, sizes) == []
        assert too_many_rows(plan.study, replace(one, kind=kind), 20_001) == ()
    assert too_many_rows(plan.study, one, 20_000) == ()
    assert "up to 20000 training rows" in too_many_rows(plan.study, one, 20_001)[0]


def test_a_dry_run_counts_them_apart(study, capsys, monkeypatch, tmp_path):
    from holdfast.cli.plan import show_plan

    plan, _, _ = study
    monkeypatch.setattr("holdfast.cli.plan.estimate", lambda prepared, runs: Estimate({run.id: 1.0 for run in runs}, 1))
    show_plan(plan, tmp_path / "out")
    told = capsys.readouterr().out
    assert told.startswith("6 runs: 1 tasks x 2 numbers of training rows x 1 methods x 1 seeds, and 4 references that")
