"""Windows, bias index and shift mask against hand-made numbers, timm, and attention computed the
slow way.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models import swin_transformer as timm_swin

from mgff_tutorial.patches import pad_to_multiple
from mgff_tutorial.windows import (
    SwinBlock,
    WindowAttention,
    relative_position_index,
    resize_bias_table,
    shift_mask,
    shift_regions,
    window_partition,
    window_reverse,
)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)
)
def test_partition_and_reverse_are_inverse(batch, rows, columns, wh, ww):
    x = torch.arange(batch * rows * wh * columns * ww * 2.0).view(batch, rows * wh, columns * ww, 2)
    windows = window_partition(x, (wh, ww))
    assert windows.shape == (batch * rows * columns, wh * ww, 2)
    assert torch.equal(window_reverse(windows, (wh, ww), rows * wh, columns * ww), x)


def test_windows_come_row_by_row():
    x = torch.arange(16).view(1, 4, 4, 1)
    assert window_partition(x, (2, 2)).squeeze(-1).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]


@pytest.mark.parametrize("window", [(1, 1), (2, 2), (7, 7), (12, 12), (3, 5)])
def test_bias_index_equals_timm(window):
    assert torch.equal(
        relative_position_index(window), timm_swin.get_relative_position_index(*window)
    )


def test_bias_index_of_a_two_by_two_window_by_hand():
    assert relative_position_index((2, 2)).tolist() == [
        [4, 3, 1, 0],
        [5, 4, 2, 1],
        [7, 6, 4, 3],
        [8, 7, 5, 4],
    ]


def test_regions_of_a_four_by_four_map_by_hand():
    assert shift_regions(4, 4, (2, 2), (1, 1)).tolist() == [
        [0, 0, 1, 2],
        [0, 0, 1, 2],
        [3, 3, 4, 5],
        [6, 6, 7, 8],
    ]
    assert shift_regions(4, 4, (2, 2), (0, 0)).unique().tolist() == [0]
    assert shift_regions(4, 4, (2, 4), (1, 0)).tolist() == [[0] * 4, [0] * 4, [3] * 4, [6] * 4]


@pytest.mark.parametrize(
    "grid, window, shift",
    [
        ((14, 14), (7, 7), (3, 3)),
        ((12, 24), (12, 12), (0, 6)),
        ((4, 6), (2, 3), (1, 1)),
        ((6, 6), (6, 3), (0, 1)),
    ],
)
def test_mask_equals_timm(grid, window, shift):
    block = timm_swin.SwinTransformerBlock(
        8, grid, num_heads=1, window_size=window, shift_size=shift
    )
    ours, theirs = shift_mask(*grid, window, shift), block.attn_mask
    assert torch.equal(ours == 0, theirs == 0) and bool(torch.isinf(ours[ours != 0]).all())


def cells(grid, window, shift):
    """(H * W,) number of the shifted window that each token of the map lies in, without any
    rolling.
    """
    rows = (torch.arange(grid[0]) - shift[0]).div(window[0], rounding_mode="floor")
    columns = (torch.arange(grid[1]) - shift[1]).div(window[1], rounding_mode="floor")
    return (rows[:, None] * 1000 + columns[None, :]).flatten()


def brute_force(block, x):
    """Attention of every token to every token of the whole map, kept to those in its own shifted
    window.
    """
    attn, (_, height, width, dim) = block.attn, x.shape
    heads, (wh, ww) = attn.num_heads, block.window
    q, k, v = (
        attn.qkv(x.flatten(1, 2)).view(len(x), height * width, 3, heads, -1).permute(2, 0, 3, 1, 4)
    )
    r, c = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
    dy, dx = r[:, None] - r[None, :], c[:, None] - c[None, :]
    together = cells((height, width), block.window, block.shift)
    together = together[:, None] == together[None, :]
    row = (dy + wh - 1) * (2 * ww - 1) + dx + ww - 1
    bias = attn.relative_position_bias_table[row.where(together, torch.zeros_like(row))].permute(
        2, 0, 1
    )
    scores = q @ k.transpose(-2, -1) / (dim // heads) ** 0.5 + bias
    weights = scores.masked_fill(~together, float("-inf")).softmax(-1)
    return attn.proj((weights @ v).transpose(1, 2).flatten(2)).view_as(x)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    "grid, window",
    [
        ((8, 8), (4, 4)),
        ((6, 9), (3, 3)),
        ((4, 6), (4, 3)),
        ((3, 3), (6, 6)),
        ((7, 10), (4, 4)),
        ((5, 3), (2, 4)),
    ],
)
def test_shifted_window_attention_is_attention_within_regions(grid, window, shifted):
    torch.manual_seed(0)
    block = SwinBlock(12, 3, grid, window, shifted, pad_first=True)
    torch.nn.init.normal_(block.attn.relative_position_bias_table)
    x = torch.randn(2, *grid, 12)
    padded = pad_to_multiple(x, block.window)
    expected = brute_force(block, padded)[:, : grid[0], : grid[1]]
    torch.testing.assert_close(block.attention(x), expected, atol=1e-5, rtol=0)
    if padded.shape == x.shape:  # then the order of padding is no matter
        block.pad_first = False
        torch.testing.assert_close(block.attention(x), expected, atol=1e-5, rtol=0)


def test_without_the_mask_the_brute_force_differs():
    torch.manual_seed(0)
    block = SwinBlock(12, 3, (8, 8), (4, 4), shifted=True)
    x = torch.randn(1, 8, 8, 12)
    expected = brute_force(block, x)
    block.attn_mask = torch.zeros_like(block.attn_mask)
    assert (block.attention(x) - expected).abs().max() > 1e-2


def test_a_masked_token_has_no_influence_at_all():
    torch.manual_seed(0)
    block = SwinBlock(12, 3, (8, 8), (4, 4), shifted=True)
    x = torch.randn(1, 8, 8, 12)
    changed = x.clone()
    changed[0, 0, 0] += 100.0  # shares a rolled window with token (7, 7)
    assert torch.equal(block.attention(x)[0, 7, 7], block.attention(changed)[0, 7, 7])
    assert not torch.equal(block.attention(x)[0, 1, 1], block.attention(changed)[0, 1, 1])


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_timm(masked):
    torch.manual_seed(0)
    ours, theirs = WindowAttention(24, 3, (4, 4)), timm_swin.WindowAttention(24, 3, window_size=4)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2 * 4, 16, 24)
    mask = shift_mask(8, 8, (4, 4), (2, 2)) if masked else None
    torch.testing.assert_close(ours(x, mask), theirs(x, mask), atol=1e-5, rtol=0)


def test_bias_tables_are_interpolated():
    rows = torch.arange(13.0)[:, None].expand(13, 13)  # a ramp stays a ramp in the middle
    table = torch.stack([rows.flatten(), rows.T.flatten()], 1)  # (169, 2) for a window of 7
    assert resize_bias_table(table, (7, 7), (7, 7)) is table
    larger = resize_bias_table(table, (7, 7), (12, 12)).T.view(2, 23, 23)
    torch.testing.assert_close(
        larger[0, 11, 11], torch.tensor(6.0)
    )  # no displacement stays in the centre
    torch.testing.assert_close(larger[0], larger[1].T)
    assert (larger[0, 1:-1, 0].diff() > 0).all()
    assert resize_bias_table(table, (7, 7), (12, 5)).shape == (23 * 9, 2)


def test_attention_weights_are_dropped_in_training_alone():
    torch.manual_seed(0)
    attention, x = WindowAttention(8, 2, (2, 2), attn_drop=0.5), torch.randn(3, 4, 8)
    assert not torch.equal(attention(x), attention(x))
    attention.eval()
    assert torch.equal(attention(x), attention(x))
