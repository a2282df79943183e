"""Recipes: the shipped ones are readable and complete; a wrong entry is named."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.support.errors import InputError
from mgff_tutorial.training.config import CONFIGS, TrainConfig, config_names, load_config


def test_the_paper_recipe_is_the_papers():
    paper = load_config("paper")
    assert (paper.optimizer, paper.momentum, paper.lr, paper.schedule, paper.epochs) == (
        "momentum",
        0.99,
        2e-4,
        "cosine",
        50,
    )
    assert (paper.resize, paper.img_size, paper.crop, paper.flip) == (512, 384, "random", True)
    assert paper.model_kwargs == {"preset": "literal"}
    text = (CONFIGS / "paper.yaml").read_text()
    for entry in (
        "batch_size",
        "weight_decay",
        "warmup_epochs",
    ):  # the paper is silent: the file must say so
        assert "assumed" in next(line for line in text.splitlines() if line.startswith(entry))


@pytest.mark.parametrize("name", ["paper", "practical", "nano"])
def test_recipes_round_trip_and_take_changes(name, tmp_path):
    config = load_config(name, seed=3, root=None)
    assert config.seed == 3
    config.save(tmp_path / "copy.yaml")
    assert load_config(tmp_path / "copy.yaml") == config
    assert name in config_names()


def test_numbers_may_be_written_as_people_write_them(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "lr: 2e-4\nepochs: 3\nweight_decay: 0\npretrained: weights.safetensors\n"
    )
    config = load_config(tmp_path / "a.yaml")
    assert (config.lr, config.weight_decay, config.pretrained) == (2e-4, 0.0, "weights.safetensors")


@pytest.mark.parametrize(
    "text, words",
    [
        ("lr: [1]", r"lr must be float, got \[1\]"),
        ("epochs: 2.5", "epochs must be int, got 2.5"),
        ("epochs: true", "epochs must be int"),
        ("flip: 1", "flip must be bool"),
        ("epoch: 3", "did you mean 'epochs'"),
        ("- a", "expected entries"),
        ("a: [", "not readable as YAML"),
        ("scale: [0, 1]", "scale must be two numbers"),
        ("scale: [0.5]", "scale"),
        ("resize: 50", "resize must be at least img_size"),
        ("crop: centre", "Unknown crop"),
        ("lr: .inf", "lr must be a positive number"),
        ("seed: -1", "seed must be from 0"),
        ("ema: 1.0", "ema"),
        ("precision: half", "Unknown precision"),
        ("micro_batch: 0", "micro_batch must be from 1 to 1000000"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, words):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=words):
        load_config(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    "text, got", [("", "nothing"), ("# all is a remark\n", "nothing"), ("- 1", "list")]
)
def test_a_file_without_entries(text, got, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=f"a.yaml: expected entries like .*, got {got}"):
        load_config(tmp_path / "a.yaml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "bad.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no text in UTF-8"):
        load_config(tmp_path / "bad.yaml")


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 600),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=5),
    st.lists(st.floats(0, 2), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers()),
)


@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from([entry.name for entry in fields(TrainConfig)]), value=values)
def test_any_value_is_accepted_or_refused_by_name(name, value):
    try:
        config = TrainConfig(**{name: value})
    except InputError as error:
        assert name in str(error) or "img_size" in str(error)
    else:
        assert isinstance(config.as_dict(), dict)
