"""Patch embedding and merging against convolution, unfolding and timm."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.patches import PatchEmbed, PatchMerging, pad_to_multiple


def test_embedding_is_a_strided_convolution():
    torch.manual_seed(0)
    embed = PatchEmbed(4, 3, 16)
    x = torch.randn(2, 3, 20, 28)
    expected = embed.norm(
        F.conv2d(x, embed.proj.weight, embed.proj.bias, stride=4).permute(0, 2, 3, 1)
    )
    torch.testing.assert_close(embed(x), expected, atol=1e-5, rtol=0)


def test_embedding_is_unfold_and_one_matrix_product():
    torch.manual_seed(0)
    embed = PatchEmbed((4, 2), 3, 8)
    x = torch.randn(2, 3, 8, 6)
    rows = F.unfold(x, (4, 2), stride=(4, 2)).transpose(1, 2)  # (B, patches, 24)
    tokens = rows @ embed.proj.weight.flatten(1).T + embed.proj.bias
    torch.testing.assert_close(embed(x).flatten(1, 2), embed.norm(tokens), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2))
def test_embedding_pads_with_zeros_below_and_right(height, width, batch):
    torch.manual_seed(0)
    embed = PatchEmbed(4, 3, 8)
    x = torch.randn(batch, 3, height, width)
    padded = F.pad(x, (0, -width % 4, 0, -height % 4))
    assert embed(x).shape == (batch, -(-height // 4), -(-width // 4), 8)
    torch.testing.assert_close(embed(x), embed(padded))


def test_merging_takes_the_four_neighbours_in_timms_order():
    merge = PatchMerging(1)
    merge.norm = torch.nn.Identity()
    with torch.no_grad():
        merge.reduction.weight.copy_(torch.eye(4)[:2])  # shows the first two of the four
    x = torch.arange(16.0).view(1, 4, 4, 1)
    assert merge(x)[0, 0, 0].tolist() == [0, 4]  # itself, then the token below it
    with torch.no_grad():
        merge.reduction.weight.copy_(torch.eye(4)[2:])
    assert merge(x)[0, 0, 0].tolist() == [1, 5]  # right, then below right


@pytest.mark.parametrize("size", [(6, 6), (7, 5), (1, 1), (3, 8)])
def test_merging_equals_timm_and_pads_odd_sizes(size):
    from timm.models.swin_transformer import PatchMerging as Reference

    torch.manual_seed(0)
    ours, theirs = PatchMerging(8), Reference(8)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, *size, 8)
    assert ours(x).shape == (2, -(-size[0] // 2), -(-size[1] // 2), 16)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)


def test_padding_leaves_whole_multiples_alone():
    x = torch.randn(1, 4, 6, 2)
    assert pad_to_multiple(x, (2, 3)) is x
    assert pad_to_multiple(x, (3, 4)).shape == (1, 6, 8, 2)
    assert pad_to_multiple(x, (3, 4))[:, 4:].abs().sum() == 0
