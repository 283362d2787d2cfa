"""Trainers of other tasks, and data without an end, are refused by what they are when methods are attached."""

import datasets
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset
from trainers import Log, arguments, rows
from transformers import DataCollatorWithPadding, Trainer

from holdfast import DPS, LPFT, R3F, SURT, ChildTuningD, Engine, HoldfastError, Mixout, Vanilla, attach
from tiny import batch, classifier, tokenizer


def named(name, module="elsewhere", base=Trainer):
    return type(name, (base,), {"__module__": module})


KINDS = {
    named("RewardTrainer", "trl.trainer.reward_trainer"): "which of two texts is the better one",
    named("DPOTrainer", "trl.trainer.dpo_trainer"): "preferences between texts",
    named("UnslothKTOTrainer"): "preferences between texts",
    named("ORPOTrainer", "trl.experimental.orpo.orpo_trainer"): "preferences between texts",
    named("Mine", base=named("CPOTrainer", "trl.trainer.cpo_trainer")): "Mine, a CPOTrainer, learns from preferences",
    named("GRPOTrainer", "trl.trainer.grpo_trainer"): "rewards for the texts that it writes",
    named("PPOTrainer"): "rewards for the texts that it writes",
    named("NewTrainer", "trl.trainer.new_trainer"): "a trainer of trl with a loss of its own",
    named("SentenceTransformerTrainer", "sentence_transformers.trainer"): "the embeddings of texts",
    named("Pairs", base=named("CrossEncoderTrainer", "sentence_transformers.cross_encoder.trainer")): "scores pairs",
}


@pytest.mark.parametrize(("kind", "said"), KINDS.items(), ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.parametrize("method", [R3F(), Mixout()], ids=lambda method: method.name)
def test_other_tasks_are_named(kind, said, method, tmp_path):
    trainer = kind(classifier("bert"), arguments(tmp_path), train_dataset=rows(4))
    with pytest.raises(HoldfastError, match=f"{said}.*Trainer, Seq2SeqTrainer or SFTTrainer whose rows have labels"):
        attach(trainer, method)
    assert type(trainer) is kind


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("trl", ["RewardTrainer", "DPOTrainer", "KTOTrainer", "GRPOTrainer", "RLOOTrainer"]),
        ("sentence_transformers", ["SentenceTransformerTrainer", "CrossEncoderTrainer"]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_libraries_own_classes_are_known(module, names):
    """Made without their constructors, which want models and data of their kinds."""
    library = pytest.importorskip(module)
    for name in names:
        kind = getattr(library, name)
        with pytest.raises(HoldfastError, match="which methods are not made for"):
            attach(kind.__new__(kind), R3F())


def test_supervised_fine_tuning_and_subclasses_of_the_trainer_are_not_refused_by_their_names(tmp_path):
    for kind in (named("SFTTrainer", "trl.trainer.sft_trainer"), named("MyTrainer"), named("MyRewardingTrainer")):
        trainer = kind(classifier("bert"), arguments(tmp_path), train_dataset=rows(4))
        assert attach(trainer, R3F()) is trainer
        assert trainer.train().global_step > 0


def test_what_is_no_trainer_is_told_of_the_engine():
    for given in (classifier("bert"), R3F(), None):
        with pytest.raises(HoldfastError, match=r"works on a transformers.Trainer.*Engine\(model"):
            attach(given, R3F())


def test_columns_without_labels_are_told_before_anything_runs(tmp_path):
    data = datasets.Dataset.from_list([{"input_ids": [5, 6, 3], "target": 1}] * 4)
    for collator in (None, DataCollatorWithPadding(tokenizer())):
        trainer = Trainer(classifier("bert"), arguments(tmp_path), train_dataset=data, data_collator=collator)
        with pytest.raises(HoldfastError, match=r"no labels \(its columns: input_ids, target\): name their column"):
            attach(trainer, R3F())
    labelled = data.rename_column("target", "label")
    attach(Trainer(classifier("bert"), arguments(tmp_path), train_dataset=labelled), R3F()).train()


# Data without an end


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield from rows(8)


class Counted(Endless):
    """Streams, and knows its length."""

    def __iter__(self):
        yield from rows(8)

    def __len__(self):
        return 8


PASSES = [ChildTuningD(), LPFT(), SURT(epochs=1)]


def streaming(folder, method, data, **options):
    log = Log()
    given = {"processing_class": tokenizer()} if method.requires.text else {}
    given |= {"model": classifier("bert")} | options
    trainer = Trainer(args=arguments(folder, max_steps=4), train_dataset=data, callbacks=[log], **given)
    return attach(trainer, method), log


@pytest.mark.parametrize("method", PASSES, ids=lambda method: method.name)
def test_a_pass_over_a_stream_is_refused_when_methods_are_attached(method, tmp_path):
    hub = datasets.IterableDataset.from_generator(lambda: iter([{"input_ids": [5, 6, 3], "labels": 1}]))
    for data in (Endless(), hub):
        with pytest.raises(HoldfastError, match=f"{method.name} goes over the training data.*has no length: give it"):
            streaming(tmp_path, method, data)
    with pytest.raises(HoldfastError, match="has no length"):
        streaming(tmp_path, method, Endless(), model=None, model_init=lambda: classifier("bert"))
    trainer, log = streaming(tmp_path, method, Counted())
    trainer.train()
    assert len(log.entries) == 4


@pytest.mark.parametrize("method", PASSES, ids=lambda method: method.name)
def test_a_pass_over_a_generator_is_refused_by_the_engine(method):
    def generator():
        while True:
            yield batch()

    for data in (generator(), DataLoader(Endless(), batch_size=4)):
        model = classifier("bert")
        with pytest.raises(HoldfastError, match=f"{method.name} goes over the training data.*has no length: give"):
            Engine(model, [method], optimizer=torch.optim.AdamW, data=data, tokenizer=tokenizer())
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), classifier("bert").parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [Vanilla(), R3F(), DPS(update_ratio=0.5), Mixout(), ChildTuningD(max_batches=2)],
    ids=lambda method: method.name,
)
def test_methods_without_a_pass_train_on_streams(method, tmp_path):
    trainer, log = streaming(tmp_path, method, Endless())
    trainer.train()
    assert len(log.entries) == 4
    engine = Engine(
        classifier("bert"),
        [method],
        optimizer=lambda p: torch.optim.AdamW(p, 1e-3),
        total_steps=4,
        data=DataLoader(Endless(), batch_size=4),
    )
    engine.backward(engine.loss(batch()))
    assert engine.step()


def test_a_loader_of_the_trainers_own_is_asked_when_training_begins(tmp_path):
    class Own(Trainer):
        def get_train_dataloader(self):
            return DataLoader(Endless(), batch_size=4)

    trainer = Own(classifier("bert"), arguments(tmp_path))
    with pytest.raises(HoldfastError, match=r"child_tuning_d goes over the training data.*has no length"):
        attach(trainer, ChildTuningD()).train()
