"""Spatial and channel attention against torch's own and against their equations written out."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.attention import ChannelAttention, SpatialSelfAttention


def busy(module):
    """Give every weight a size at which mistakes show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.normal_(std=0.5)
    return module


def by_hand(module, x):
    """The paper's equation, position by position and head by head."""
    b, c, h, w = x.shape
    d, table = c // module.heads, module.relative_position_bias_table
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = (tokens @ module.qkv.weight.T + module.qkv.bias).split(c, dim=2)
    out = torch.zeros_like(tokens)
    for head in range(module.heads):
        part = slice(head * d, (head + 1) * d)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / d**0.5
        if table is not None:
            for i in range(h * w):
                for j in range(h * w):
                    dy, dx = i // w - j // w, i % w - j % w
                    scores[:, i, j] += table[(dy + h - 1) * (2 * w - 1) + dx + w - 1, head]
        out[..., part] = scores.softmax(-1) @ v[..., part]
    return out.transpose(1, 2).reshape(b, c, h, w)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("position_bias", [True, False])
def test_equals_the_equation_written_out(heads, position_bias):
    module = busy(SpatialSelfAttention(8, (3, 4), heads, position_bias)).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(module(x), by_hand(module, x))


def test_returned_matrix_is_the_one_that_was_used():
    module = busy(SpatialSelfAttention(8, (3, 3), heads=2))
    x = torch.randn(2, 8, 3, 3)
    out, attention = module(x, return_attention=True)
    torch.testing.assert_close(out, module(x), atol=1e-5, rtol=1e-4)
    assert attention.shape == (2, 2, 9, 9)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, 9))
    v = (
        (x.flatten(2).mT @ module.qkv.weight.T + module.qkv.bias)[..., 16:]
        .unflatten(2, (2, 4))
        .transpose(1, 2)
    )
    torch.testing.assert_close(
        (attention @ v).transpose(1, 2).flatten(2).mT.unflatten(2, (3, 3)),
        out,
        atol=1e-5,
        rtol=1e-4,
    )


def test_identity_start():
    module = SpatialSelfAttention(8, (3, 3), 2, residual=True, norm=True, identity_start=True)
    x = torch.randn(2, 8, 3, 3)
    assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.qkv.weight.grad[16:].abs().sum() > 0  # V does not stay at zero
    assert not torch.allclose(SpatialSelfAttention(8, (3, 3), residual=True)(x), x)


def test_options_change_what_they_say():
    names = {name for name, _ in SpatialSelfAttention(8, (3, 3)).named_parameters()}
    assert names == {"relative_position_bias_table", "qkv.weight", "qkv.bias"}
    assert SpatialSelfAttention(8, (3, 5)).relative_position_bias_table.shape == (5 * 9, 1)
    assert SpatialSelfAttention(8, (3, 3), position_bias=False).relative_position_bias_table is None
    assert "position_index" not in SpatialSelfAttention(8, (3, 3)).state_dict()


def test_without_position_bias_positions_may_be_shuffled():
    module = busy(SpatialSelfAttention(6, (2, 4), position_bias=False))
    x, order = (
        torch.randn(1, 6, 2, 4),
        torch.randperm(8, generator=torch.Generator().manual_seed(1)),
    )
    shuffled = x.flatten(2)[..., order].unflatten(2, (2, 4))
    torch.testing.assert_close(
        module(shuffled),
        module(x).flatten(2)[..., order].unflatten(2, (2, 4)),
        atol=1e-5,
        rtol=1e-4,
    )
    biased = busy(SpatialSelfAttention(6, (2, 4)))
    assert not torch.allclose(
        biased(shuffled), biased(x).flatten(2)[..., order].unflatten(2, (2, 4)), atol=1e-3
    )


def test_channel_attention_equals_its_equation():
    module = busy(ChannelAttention(32, reduction=4)).double()
    x = torch.randn(2, 32, 3, 5, dtype=torch.double)
    s = torch.sigmoid(F.relu(x.mean((2, 3)) @ module.squeeze.weight.T) @ module.excite.weight.T)
    torch.testing.assert_close(module.weights(x), s)
    torch.testing.assert_close(module(x), x * s[:, :, None, None])
    assert module.squeeze.weight.shape == (8, 32)


def test_channel_attention_starts_as_the_identity_and_depends_on_means_alone():
    x = torch.randn(2, 32, 3, 3)
    assert torch.equal(ChannelAttention(32, identity_start=True)(x), x)
    module = busy(ChannelAttention(32))
    torch.testing.assert_close(module.weights(x), module.weights(x.flip(2, 3)))
    assert ChannelAttention(8, reduction=16).squeeze.weight.shape == (1, 8)
    with torch.no_grad():
        module.excite.weight.zero_()
    torch.testing.assert_close(
        module(x), 0.5 * x
    )  # uniform weights scale the map and change nothing else


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 4]), st.integers(0, 2))
def test_any_grid_and_batch(height, width, heads, batch):
    module = SpatialSelfAttention(8, (height, width), heads)
    x = torch.randn(batch, 8, height, width)
    assert module(x).shape == x.shape
    assert ChannelAttention(8)(x).shape == x.shape
