"""Notebook 04: the package agrees with the solutions of its exercises."""

import pytest
from exercises import solutions

from mgff_tutorial.swin import swin_nano
from mgff_tutorial.windows import SwinBlock

SOLUTIONS = solutions("04_swin")


def test_skipping_rates_are_those_of_the_packaged_network():
    model = swin_nano(depths=(2, 2, 6, 2), drop_path_rate=0.1)
    rates = [[block.drop_path.rate for block in stage.blocks] for stage in model.layers]
    for ours, theirs in zip(SOLUTIONS["drop_rates"]((2, 2, 6, 2), 0.1), rates):
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("dim, heads, window", [(32, 1, 6), (128, 4, 12), (96, 3, 7)])
def test_parameters_are_those_of_the_packaged_block(dim, heads, window):
    block = SwinBlock(dim, heads, (2 * window, 2 * window), (window, window), shifted=True)
    counted = sum(p.numel() for p in block.parameters())
    assert SOLUTIONS["block_parameters"](dim, heads, window) == counted
