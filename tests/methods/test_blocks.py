"""Finding the transformer blocks of a model by its structure."""

import peft
import pytest
import transformers as t
from torch import nn

from holdfast import HoldfastError
from holdfast.methods.parts.model.layers import layer_stacks
from tiny import CLASSIFIERS, VOCABULARY, classifier, t5_config

BLOCKS = {
    "bert": ["bert.encoder.layer.0", "bert.encoder.layer.1"],
    "roberta": ["roberta.encoder.layer.0", "roberta.encoder.layer.1"],
    "deberta_v3": ["deberta.encoder.layer.0", "deberta.encoder.layer.1"],
    "distilbert": ["distilbert.transformer.layer.0", "distilbert.transformer.layer.1"],
    "electra": ["electra.encoder.layer.0", "electra.encoder.layer.1"],
    "modernbert": ["model.layers.0", "model.layers.1"],
    "gpt2": ["transformer.h.0", "transformer.h.1"],
    "llama": ["model.layers.0", "model.layers.1"],
    "bart": ["model.encoder.layers.0", "model.decoder.layers.0"],
    "t5": ["transformer.encoder.block.0", "transformer.decoder.block.0"],
}


def names(model):
    stacks = layer_stacks(model, "top_k_layers")
    for stack in stacks:
        for name, block in stack:
            assert model.get_submodule(name) is block
    return [[name for name, _ in stack] for stack in stacks]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_blocks_of_each_architecture_bottom_first(name):
    found = names(classifier(name))
    assert [block for stack in found for block in stack] == BLOCKS[name]
    assert len(found) == (2 if name in ("bart", "t5") else 1)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Transformers, about a name that PEFT uses
@pytest.mark.parametrize("name", ["bert", "t5", "gpt2"])
def test_blocks_inside_a_peft_wrapper(name):
    model = peft.get_peft_model(classifier(name), peft.LoraConfig(task_type="SEQ_CLS", fan_in_fan_out=name == "gpt2"))
    assert [block for stack in names(model) for block in stack] == [
        f"base_model.model.{block}" for block in BLOCKS[name]
    ]


def test_albert_shares_one_group():
    config = t.AlbertConfig(
        vocab_size=VOCABULARY, embedding_size=16, hidden_size=32, num_attention_heads=2, intermediate_size=48
    )
    assert config.num_hidden_layers == 12
    assert names(t.AlbertForSequenceClassification(config)) == [["albert.encoder.albert_layer_groups.0"]]


def test_experts_and_sub_layers_are_no_blocks():
    config = t.SwitchTransformersConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=2,
        num_experts=2,
        num_sparse_encoder_layers=1,
        num_sparse_decoder_layers=1,
    )
    model = t.SwitchTransformersForConditionalGeneration(config)
    assert names(model) == [[f"{half}.block.{i}" for i in range(2)] for half in ("encoder", "decoder")]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)


class Convolution(Block):
    pass


class Heads(nn.Module):
    """Alternating kinds of block, and a list of linear layers that is none."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Convolution(), Block()])
        self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 3)])
        self.dropouts = nn.ModuleList([nn.Dropout(), nn.Dropout()])


def test_a_model_of_the_users_own():
    assert names(Heads()) == [["blocks.0", "blocks.1", "blocks.2"]]
    assert names(Heads().blocks) == [["0", "1", "2"]]


def test_a_body_without_its_head():
    assert names(t.T5EncoderModel(t5_config(0.0))) == [["encoder.block.0"]]
    assert names(classifier("bert").bert) == [["encoder.layer.0", "encoder.layer.1"]]


def test_a_model_without_blocks_is_refused():
    with pytest.raises(HoldfastError, match="top_k_layers works on the blocks of a transformer, and Sequential has no"):
        layer_stacks(nn.Sequential(nn.Linear(2, 2)), "top_k_layers")
