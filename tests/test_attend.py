"""Attention in pieces equals the fused kernel, and is used where it may be."""

import pytest
import torch
import torch.nn.functional as F

from mgff_tutorial.support import attend as module
from mgff_tutorial.support.attend import attend, attend_in_pieces, by_products, products_pay

BF16 = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="no bfloat16 products on this CPU",
)


def tensors(images, windows, heads=2, tokens=9, d=8, dtype=torch.float32):
    """q, k, v of ``images`` times ``windows`` windows, and a bias with some -inf for each window of
    an image.
    """
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, images * windows, heads, tokens, d, generator=generator)
    bias = torch.randn(windows, heads, tokens, tokens, generator=generator)
    bias[:, :, 0, 1:4] = float("-inf")
    return *qkv.to(dtype), bias.to(dtype)


def by_hand(q, k, v, bias):
    bias = bias.repeat(len(q) // len(bias), 1, 1, 1)
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + bias).softmax(-1) @ v


@pytest.mark.parametrize("images, windows", [(3, 4), (1, 5), (6, 1), (1, 1), (0, 4), (0, 1)])
@pytest.mark.parametrize("at_a_time", [0, 1, 2, 3, 100])
def test_pieces_of_any_size_give_the_same(monkeypatch, images, windows, at_a_time):
    monkeypatch.setattr(module, "IN_CACHE", at_a_time * 2 * 9 * 9)
    q, k, v, bias = tensors(images, windows)
    out = attend_in_pieces(q, k, v, bias)
    torch.testing.assert_close(out, by_hand(q, k, v, bias), atol=1e-5, rtol=0)
    assert out.transpose(1, 2).is_contiguous()
    torch.testing.assert_close(attend(q, k, v, bias), out, atol=1e-5, rtol=0)


def test_without_bias_it_is_torchs_kernel():
    q, k, v, _ = tensors(2, 3)
    assert torch.equal(attend(q, k, v), F.scaled_dot_product_attention(q, k, v))


@BF16
def test_bfloat16_keeps_its_digits():
    q, k, v, bias = tensors(2, 4, tokens=49, d=32, dtype=torch.bfloat16)
    with torch.no_grad():
        out = attend(q, k, v, bias)
    exact = by_hand(*(t.double() for t in (q, k, v, bias)))
    assert (out - exact).abs().max() < 0.03  # bfloat16 has 8 bits: 0.004 of values up to 3


@BF16
def test_only_where_it_may_be_used(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    q = tensors(2, 4, dtype=torch.bfloat16)[0]
    assert products_pay(q) and not products_pay(q.float()) and not products_pay(q.to("meta"))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert not products_pay(q)


@pytest.mark.parametrize("images, windows", [(3, 4), (1, 5), (6, 1), (0, 4)])
def test_products_at_once_have_the_result_and_the_gradients(images, windows):
    inputs = [t.requires_grad_() for t in tensors(images, windows, dtype=torch.float64)]
    ours = torch.autograd.grad(by_products(*inputs).sin().sum(), inputs)
    theirs = torch.autograd.grad(by_hand(*inputs).sin().sum(), inputs)
    for mine, exact in zip((by_products(*inputs), *ours), (by_hand(*inputs), *theirs)):
        torch.testing.assert_close(mine, exact, atol=1e-12, rtol=0)


@BF16
def test_training_in_bfloat16_drops_weights_and_sends_gradients_to_the_bias(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    q, k, v, bias = tensors(2, 4, dtype=torch.bfloat16)
    bias.requires_grad_()
    attend(q, k, v, bias).float().square().sum().backward()
    assert bias.grad.isfinite().all() and bias.grad.abs().sum() > 0
    torch.manual_seed(0)
    dropped = attend(q, k, torch.ones_like(v), bias.detach(), dropout=0.5).float()
    assert (
        dropped.std() > 0.1 and abs(dropped.mean() - 1) < 0.1
    )  # rows of weights no longer sum to 1, but on average


def test_one_graph_for_every_batch_in_bfloat16():
    compiled = torch.compile(attend, fullgraph=True, dynamic=True, backend="eager")
    for images in (2, 3):
        inputs = tensors(images, 4, dtype=torch.bfloat16)
        with torch.no_grad():
            torch.testing.assert_close(compiled(*inputs), attend(*inputs), atol=0.05, rtol=0)
