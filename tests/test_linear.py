"""The quick linear layer is torch's linear layer."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mgff_tutorial.support.errors import InputError
from mgff_tutorial.support.flops import count_flops
from mgff_tutorial.support.linear import Linear, linear, matmul, onednn_pays, use_fast_linear

# rows, inputs, outputs: below and above the size at which the other library takes over, and above
# LONGEST rows
SIZES = [(3, 5, 7), (300, 64, 96), (5000, 32, 48)]


@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gelu", [True, False])
def test_values_and_gradients_are_torchs(rows, inputs, outputs, bias, gelu):
    torch.manual_seed(0)
    x = torch.randn(2, rows, inputs, requires_grad=True)
    w = (torch.randn(outputs, inputs) / inputs**0.5).requires_grad_()
    leaves = [x, w] + ([torch.randn(outputs, requires_grad=True)] if bias else [])
    expected = F.linear(*leaves)
    expected = F.gelu(expected) if gelu else expected
    grad = torch.randn_like(expected)
    got = linear(*leaves, gelu=gelu)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    for one, other in zip(
        torch.autograd.grad(got, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(linear(*leaves, gelu=gelu), expected, atol=1e-5, rtol=0)


def test_strided_rows_and_second_derivatives():
    torch.manual_seed(0)
    x = torch.randn(40, 6, 64).transpose(0, 1)  # not contiguous
    w = torch.randn(50, 64)
    torch.testing.assert_close(linear(x, w), F.linear(x, w), atol=1e-4, rtol=0)
    x, w = torch.randn(100, 40, requires_grad=True), torch.randn(60, 40, requires_grad=True)
    outcomes = []
    for product in (linear, F.linear):
        (first,) = torch.autograd.grad(product(x, w).square().sum(), x, create_graph=True)
        outcomes.append(torch.autograd.grad(first.square().sum(), w)[0])
    torch.testing.assert_close(*outcomes, atol=1e-2, rtol=1e-4)


def test_other_dtypes_go_to_torch():
    x, w = torch.randn(300, 64, dtype=torch.float64), torch.randn(96, 64, dtype=torch.float64)
    assert not onednn_pays(x, w)
    assert torch.equal(linear(x, w), F.linear(x, w))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("gelu", [True, False])
def test_bfloat16_as_dtype_and_by_autocast(gelu, gradients):
    torch.manual_seed(0)
    layer = Linear(64, 96)
    x = torch.randn(800, 64)
    with torch.no_grad():
        expected = layer(x, gelu=gelu)
    with torch.set_grad_enabled(gradients):
        with torch.autocast("cpu", torch.bfloat16):
            by_autocast = layer(x, gelu=gelu)
        as_dtype = layer.bfloat16()(x.bfloat16(), gelu=gelu)
    assert by_autocast.dtype == as_dtype.dtype == torch.bfloat16
    assert by_autocast.requires_grad == gradients
    torch.testing.assert_close(by_autocast, as_dtype, atol=0.02, rtol=0.02)
    torch.testing.assert_close(by_autocast.float(), expected, atol=0.05, rtol=0.02)


def test_flops_are_counted():
    layer = Linear(64, 96)
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients), FlopCounterMode(display=False) as counter:
            layer(torch.randn(300, 64))
        assert counter.get_total_flops() == 2 * 300 * 64 * 96


def test_a_model_of_others_becomes_quick_and_stays_the_same():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 32))
    quick = use_fast_linear(copy.deepcopy(model))
    x = torch.randn(300, 64)
    assert (
        type(quick[0]) is type(quick[2]) is Linear
        and quick.state_dict().keys() == model.state_dict().keys()
    )
    torch.testing.assert_close(quick(x), model(x), atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="model must be a torch.nn.Module, got str"):
        use_fast_linear("vit")


@pytest.mark.parametrize("fused", [True, False])
def test_flops_of_attention_are_counted(fused):
    q, k, v = torch.randn(2, 3, 10, 8), torch.randn(2, 3, 12, 8), torch.randn(2, 3, 12, 8)

    def attend():
        return (
            F.scaled_dot_product_attention(q, k, v)
            if fused
            else (q @ k.transpose(-2, -1)).softmax(-1) @ v
        )

    with torch.no_grad():
        assert count_flops(attend) == 2 * 2 * (2 * 3) * 10 * 12 * 8
    q.requires_grad_(), k.requires_grad_(), v.requires_grad_()
    assert count_flops(lambda: attend().sum().backward()) >= 2.5 * count_flops(attend)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_batched_product_and_its_gradients(shared, batch):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(
        *(() if shared else (batch,)), 300, 280, generator=generator, requires_grad=True
    )
    b = torch.randn(batch, 280, 320, generator=generator, requires_grad=True)
    out, expected = matmul(a, b), a @ b
    torch.testing.assert_close(out, expected, atol=2e-4, rtol=0)
    weight = torch.randn(out.shape, generator=generator)
    for ours, theirs in zip(
        torch.autograd.grad(out, (a, b), weight), torch.autograd.grad(expected, (a, b), weight)
    ):
        torch.testing.assert_close(ours, theirs, atol=4e-4, rtol=0)


def test_batched_product_of_other_kinds():
    a, b = torch.randn(2, 3, 4), torch.randn(2, 4, 5)
    assert torch.equal(matmul(a, b), a @ b)  # small
    assert torch.equal(matmul(a.double(), b.double()), a.double() @ b.double())
    assert matmul(a.to("meta"), b.to("meta")).shape == (2, 3, 5)
    a, b = torch.randn(2, 300, 300), torch.randn(2, 300, 300)
    with torch.autocast("cpu", torch.bfloat16):
        assert matmul(a, b).dtype == torch.bfloat16
