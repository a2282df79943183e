"""What is only for speed computes the same."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mgff_tutorial.support import fast
from mgff_tutorial.support.fast import Linear, count_flops, linear, onednn_pays, optimise

# rows, inputs, outputs: below and above the size at which the other library takes over, and above
# LONGEST rows
SIZES = [(3, 5, 7), (300, 64, 96), (5000, 32, 48)]


@pytest.mark.parametrize("rows, inputs, outputs", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_torchs(rows, inputs, outputs, bias):
    torch.manual_seed(0)
    x = torch.randn(2, rows, inputs, requires_grad=True)
    w = (torch.randn(outputs, inputs) / inputs**0.5).requires_grad_()
    leaves = [x, w] + ([torch.randn(outputs, requires_grad=True)] if bias else [])
    expected = F.linear(*leaves)
    grad = torch.randn_like(expected)
    got = linear(*leaves)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    for one, other in zip(
        torch.autograd.grad(got, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(linear(*leaves), expected, atol=1e-5, rtol=0)


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
def test_bfloat16_as_dtype_and_by_autocast(gradients):
    torch.manual_seed(0)
    layer = Linear(64, 96)
    x = torch.randn(800, 64)
    with torch.no_grad():
        expected = layer(x)
    with torch.set_grad_enabled(gradients):
        with torch.autocast("cpu", torch.bfloat16):
            by_autocast = layer(x)
        as_dtype = layer.bfloat16()(x.bfloat16())
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


@pytest.mark.parametrize("ratio, kind", [(1.5, Linear), (0.7, torch.nn.Linear)])
def test_layers_change_where_it_pays_and_compute_the_same(ratio, kind, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path))
    monkeypatch.setattr(fast, "_ratio", lambda *case: asked.append(case) or ratio)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 32))
    x = torch.randn(300, 64)
    quick = optimise(copy.deepcopy(model), x)
    assert type(quick[0]) is type(quick[2]) is kind and len(asked) == 2
    assert quick.state_dict().keys() == model.state_dict().keys()
    torch.testing.assert_close(quick(x), model(x), atol=1e-5, rtol=0)
    optimise(copy.deepcopy(model), x)
    assert len(asked) == 2  # the answer was kept


def test_the_ratio_is_measured():
    assert 0.05 < fast._ratio(2000, torch.nn.Linear(128, 128), torch.float32, 3) < 20
    assert fast._ratio(2, torch.nn.Linear(4, 4), torch.float32, 1) == 0  # too small to ask


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


@pytest.mark.parametrize("harm", ["none", "a file in its place", "no JSON", "other JSON"])
def test_predictions_are_the_same_when_layers_are_chosen(tmp_path, monkeypatch, harm):
    """And a cache folder that fails does no harm."""
    from PIL import Image

    from mgff_tutorial.evaluation.predict import Predictor, load_classifier
    from mgff_tutorial.support.paths import checkpoints_dir

    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "cache"))
    if harm == "a file in its place":
        (tmp_path / "cache").write_text("not a folder")
    elif harm != "none":
        (tmp_path / "cache").mkdir()
        text = "{" if harm == "no JSON" else '{"a": 1}'
        (tmp_path / "cache" / "fast.json").write_text(text)
    noise = torch.randint(0, 256, (4, 90, 100, 3), generator=torch.Generator().manual_seed(0))
    images = [Image.fromarray(one.to(torch.uint8).numpy()) for one in noise]
    predictor = Predictor(load_classifier(checkpoints_dir() / "mgff_swin_nano.safetensors", "cpu"))
    batch = torch.stack([predictor.transform(image) for image in images])
    with torch.inference_mode():
        before = predictor.classifier(batch).softmax(1)
        predictor.optimise(len(images))
        after = predictor.classifier(batch).softmax(1)
    assert (before - after).abs().max() < 1e-5
    assert harm == "a file in its place" or (tmp_path / "cache" / "fast.json").is_file()
