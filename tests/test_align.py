"""Alignment: the same numbers as a strided convolution, the paper's shapes, and paddings that keep
centres.
"""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.align import GranularityAlign, PatchConv
from mgff_tutorial.support.errors import InputError


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_equals_a_convolution(ratio, memory_format):
    torch.manual_seed(0)
    conv = PatchConv(5, 7, (3 * ratio, 2 * ratio), (3, 2)).double()
    x = (
        torch.randn(2, 5, 3 * ratio, 2 * ratio, dtype=torch.double)
        .to(memory_format=memory_format)
        .requires_grad_()
    )
    expected = F.conv2d(x, conv.weight, conv.bias, stride=ratio)
    torch.testing.assert_close(conv(x), expected)
    wanted = torch.autograd.grad(expected.square().sum(), [x, conv.weight, conv.bias])
    torch.testing.assert_close(
        torch.autograd.grad(conv(x).square().sum(), [x, conv.weight, conv.bias]), wanted
    )


def test_weights_of_an_ordinary_convolution_load():
    conv, ours = torch.nn.Conv2d(4, 6, 2, 2), PatchConv(4, 6, (8, 8), (4, 4))
    ours.load_state_dict(conv.state_dict())
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(ours(x), conv(x), atol=1e-6, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_any_pair_of_grids_is_padded_or_refused(grid, target):
    if grid[0] < target[0] or grid[1] < target[1]:
        with pytest.raises(InputError, match="coarser"):
            GranularityAlign((2, 3), (grid, target))
        return
    conv = PatchConv(2, 3, grid, target)
    x = torch.randn(2, 2, *grid)
    assert conv(x).shape == (2, 3, *target)
    left, right, top, bottom = conv.spare
    assert 0 <= right - left <= 1 and 0 <= bottom - top <= 1
    expected = F.conv2d(F.pad(x, conv.spare), conv.weight, conv.bias, stride=conv.kernel_size)
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-4)


def test_shapes_of_the_paper():
    channels, grids = (256, 512, 1024, 1024), ((48, 48), (24, 24), (12, 12), (12, 12))
    with torch.device("meta"):
        align = GranularityAlign(channels, grids)
        maps = [torch.empty(2, c, *g) for c, g in zip(channels, grids)]
    assert [tuple(m.shape) for m in align(maps)] == [(2, 1024, 12, 12)] * 4
    assert [tuple(conv.weight.shape) for conv in align.convs[:3]] == [
        (1024, 256, 4, 4),
        (1024, 512, 2, 2),
        (1024, 1024, 1, 1),
    ]
    assert align(maps)[-1] is maps[-1]


def test_norm_dim_and_choice():
    channels, grids = (8, 16, 32, 32), ((8, 8), (4, 4), (2, 2), (2, 2))
    maps = [5 + 3 * torch.randn(2, c, *g) for c, g in zip(channels, grids)]
    normed = GranularityAlign(channels, grids, norm="layer")(maps)
    torch.testing.assert_close(normed[0].mean(1), torch.zeros(2, 2, 2), atol=1e-5, rtol=0)
    assert normed[3] is maps[3]
    narrow = GranularityAlign(channels, grids, dim=12, chosen=(1, 3))
    assert [tuple(m.shape) for m in narrow(maps)] == [(2, 12, 2, 2)] * 2
