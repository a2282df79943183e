"""Computed training memory: a network counted by hand, and what checkpointing and precision must
do.
"""

import pytest
import torch
from torch import nn

from mgff_tutorial.benchmark.memory import TrainingMemory, training_memory
from mgff_tutorial.models import create_model
from mgff_tutorial.support.errors import InputError


def test_a_network_counted_by_hand():
    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.ReLU(), nn.Linear(10, 5))

    memory = training_memory(build, 8, "no", "momentum")
    assert memory.parameters == 192 * 10 + 10 + 10 * 5 + 5
    assert memory.fixed == 3 * 4 * memory.parameters  # weights, gradients, velocities
    # the images, the ReLU's result (also the next layer's input), the logits and their log-sum-exp
    assert memory.per_image == 4 * (192 + 10 + 5 + 1)
    assert training_memory(build, 8, "no", "adamw").fixed == 4 * 4 * memory.parameters


def test_checkpointing_and_half_precision_save_memory():
    def build():
        return create_model("swin_nano", num_classes=20)

    plain, again, half = (
        training_memory(build, 96, precision, "sgd", checkpoint)
        for precision, checkpoint in (("no", False), ("no", True), ("bf16", False))
    )
    assert (
        again.per_image < 0.5 * plain.per_image
        and 0 < again.working < plain.per_image
        and plain.working == 0
    )
    assert half.per_image < 0.9 * plain.per_image
    assert plain.total(4) - plain.total(3) == plain.per_image


def test_largest_batch_fits_and_one_more_does_not():
    memory = TrainingMemory(1, 3 * 2**30, 2**28, 2**28)
    largest = memory.largest_batch(24, spare=2)
    assert memory.total(largest) <= 22 * 2**30 < memory.total(largest + 1)
    assert memory.largest_batch(4, spare=2) == 0


@pytest.mark.parametrize(
    "options, words", [({"precision": "fp8"}, "precision"), ({"optimizer": "lion"}, "lion")]
)
def test_bad_options(options, words):
    with pytest.raises(InputError, match=words):
        training_memory(lambda: nn.Linear(1, 1), 8, **options)
    assert torch.get_default_dtype() is torch.float32


def test_a_builder_that_computes_with_numbers_is_stripped_afterwards():
    class Computing(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(192, 10))
            self.largest = (
                torch.arange(3.0).max().item()
            )  # refused on the meta device, as by timm's Swin of 2025

    plain, computing = (
        training_memory(build, 8)
        for build in (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), Computing)
    )
    assert plain == computing
