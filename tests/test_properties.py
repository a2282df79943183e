"""Everything students may feed the public classes: the documented result, or one sentence that
names the argument.

Sizes from 1 x 1 to 1000 x 37, batches of 0 and 1, every dtype, strided and expanded tensors,
inference mode and gradients, training and evaluation, good options and bad ones. What must never
come is an error from inside torch, an AssertionError, or a result for an input that is no input.
``MGFF_EXAMPLES=300`` tries 300 of each instead of a few.
"""

import os
import traceback
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import mgff_tutorial
from mgff_tutorial import (
    MGFF,
    MGFFClassifier,
    SwinTransformer,
    TwoStageClassifier,
    ViTCropper,
    create_model,
    render,
)
from mgff_tutorial.align import GranularityAlign
from mgff_tutorial.attention import ChannelAttention, SpatialSelfAttention
from mgff_tutorial.cropper import crop_batch
from mgff_tutorial.datasets.transforms import eval_transform, train_transform, transform_with_box
from mgff_tutorial.graph import GCNHead, GraphConv, SuperNodePool
from mgff_tutorial.response import RULES, response_map
from mgff_tutorial.support.device import pick_device, seed_everything

PACKAGE = str(Path(mgff_tutorial.__file__).parent)
FEW = settings(
    deadline=None,
    max_examples=int(os.environ.get("MGFF_EXAMPLES", 15)),
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
DTYPES = (*FLOATS, torch.float32, torch.uint8, torch.int64, torch.bool, torch.complex64)
SIZES = st.one_of(
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.sampled_from([(1, 1), (1000, 37), (37, 1000), (1, 200), (96, 96)]),
)
NO_TENSORS = (None, 7, "bird.jpg", [[0.0]], np.zeros((1, 3, 8, 8), np.float32))


def ask(call, accepted, *words):
    """What ``call`` returns, or None where it refuses in a sentence that holds one of ``words``.

    ``accepted``: True if it must not refuse, False if it must, None if either is right.
    """
    try:
        result = call()
    except (ValueError, TypeError) as error:
        assert accepted is not True, f"refused: {error}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert last.filename.startswith(PACKAGE), f"an error from inside {last.filename}: {error}"
        text = str(error)
        assert any(word in text for word in words), f"none of {words} is named in: {text}"
        assert text.endswith((".", "?")) and "\n" not in text, text
        return None
    assert accepted is not False, "accepted, though it is no input"
    return result


@st.composite
def tensors(draw, shape, dtypes=DTYPES):
    """A tensor of a shape, in one of several memory layouts, of any dtype; some have gradients."""
    dtype, generator = (
        draw(st.sampled_from(dtypes)),
        torch.Generator().manual_seed(draw(st.integers(0, 9))),
    )
    layout = draw(st.sampled_from(["plain", "strided", "turned", "expanded", "channels last"]))
    plain = torch.randn(shape, generator=generator)
    x = (plain * 50 if not dtype.is_floating_point else plain).to(dtype)
    if layout == "strided":
        x = x.repeat_interleave(2, -1)[..., ::2]
    elif layout == "turned":
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    elif layout == "expanded" and x.numel():
        x = x[..., :1].expand(shape)
    elif layout == "channels last" and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return x.requires_grad_() if dtype.is_floating_point and draw(st.booleans()) else x


@st.composite
def batches(draw, channels=3, sizes=SIZES, dtypes=DTYPES):
    """Images (0 to 2, channels, H, W), now and then of another rank or with other channels; or no
    tensor at all.
    """
    kind = draw(st.sampled_from(["right"] * 6 + ["rank", "channels", "empty", "no tensor"]))
    count, (height, width) = draw(st.sampled_from([0, 1, 2])), draw(sizes)
    if kind == "no tensor":
        return draw(st.sampled_from(NO_TENSORS)), False
    shape = {
        "rank": (channels, height, width),
        "channels": (count, draw(st.sampled_from([0, 1, channels + 1])), height, width),
        "empty": (count, channels, 0, width),
    }.get(kind, (count, channels, height, width))
    return draw(tensors(shape, dtypes)), kind == "right"


GRAD = st.sampled_from([nullcontext, torch.no_grad, torch.inference_mode])


def runs(module, x, training, grad, method="__call__"):
    """The result of a method; the mode of the module is put back."""
    module.train(training)
    try:
        with grad():
            return getattr(module, method)(x)
    finally:
        module.eval()


def same_for_any_layout(module, x, result, grad):
    """Evaluation gives for a strided or expanded tensor what it gives for a plain copy of it."""
    with grad():
        plain = module(x.detach().clone(memory_format=torch.contiguous_format))
    tolerance = {torch.float16: 2e-2, torch.bfloat16: 2e-1}.get(x.dtype, 1e-4)
    torch.testing.assert_close(result, plain, atol=tolerance, rtol=tolerance)


@lru_cache
def swin(dtype=torch.float32):
    torch.manual_seed(0)
    return (
        SwinTransformer(
            img_size=40,
            embed_dim=8,
            depths=(1, 2, 1, 1),
            num_heads=(1, 2, 2, 4),
            window_size=3,
            num_classes=5,
        )
        .to(dtype)
        .eval()
    )


@FEW
@example((torch.zeros(1, 3, 1000, 37), True), torch.float32, True, nullcontext, False)
@example((torch.zeros(0, 3, 1, 1), True), torch.float32, True, nullcontext, False)
@given(batches(), st.sampled_from(FLOATS), st.booleans(), GRAD, st.booleans())
def test_swin_transformer(batch, weights, training, grad, autocast):
    (x, right), model = batch, swin(weights)
    matches = right and x.dtype == weights
    if autocast and right and x.is_floating_point():  # to bfloat16; float64 is left alone
        matches = weights != torch.float16 and (
            x.dtype == weights or torch.float64 not in (x.dtype, weights)
        )
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        logits = ask(lambda: runs(model, x, training, grad), matches, "images")
        maps = ask(lambda: runs(model, x, training, grad, "feature_maps"), matches, "images")
    if logits is None:
        return
    assert logits.shape == (len(x), 5) and logits.isfinite().all()
    assert [m.shape[:2] for m in maps] == [(len(x), 8 * 2**i) for i in (1, 2, 3, 3)]
    if not autocast:
        assert logits.dtype == weights
        if not training:
            same_for_any_layout(model, x, logits, grad)


@lru_cache
def mgff_model(name, dtype=torch.float32):
    torch.manual_seed(0)
    preset, _, backbone = name.partition(":")
    size = {"swin_nano": 32}.get(backbone, 64)
    return MGFFClassifier(backbone, num_classes=4, img_size=size, preset=preset).to(dtype).eval()


@FEW
@example(
    (torch.zeros(1, 3, 1000, 37), False), torch.float32, "default:swin_nano", False, nullcontext
)
@given(
    batches(sizes=st.sampled_from([(32, 32)] * 3 + [(64, 64)] * 2 + [(1, 1), (32, 31)])),
    st.sampled_from((torch.float32, *FLOATS)),
    st.sampled_from(
        ["default:swin_nano"] * 3 + ["literal:swin_nano", "baseline:swin_nano", "default:resnet10t"]
    ),
    st.booleans(),
    GRAD,
)
def test_mgff_classifier(batch, weights, name, training, grad):
    (x, right), model = batch, mgff_model(name, weights)
    batch_norm = "resnet" in name
    size = right and tuple(x.shape[2:]) == model.img_size
    accepted = right and size and x.dtype == weights
    if accepted and batch_norm and training:
        return  # would change its running means
    logits = ask(lambda: runs(model, x, training, grad), accepted, "images")
    if logits is not None:
        assert logits.shape == (len(x), 4) and logits.dtype == weights and logits.isfinite().all()
        if not training:
            same_for_any_layout(model, x, logits, grad)


CHANNELS, GRIDS = (2, 4, 6, 6), ((8, 4), (4, 2), (2, 1), (2, 1))


@st.composite
def map_lists(draw, channels=CHANNELS, grids=GRIDS):
    """Four maps that fit, or one of them spoilt: its batch, shape or dtype; or a wrong number of
    them.
    """
    dtype, count = draw(st.sampled_from(FLOATS)), draw(st.sampled_from([0, 1, 2]))
    maps = [draw(tensors((count, c, *g), (dtype,))) for c, g in zip(channels, grids)]
    spoilt = draw(
        st.sampled_from(
            [None] * 4
            + [
                "batch",
                "shape",
                "dtype",
                "integers",
                "rank",
                "no tensor",
                "fewer",
                "tensor",
                "none",
            ]
        )
    )
    i = draw(st.integers(0, len(maps) - 1))
    if spoilt == "batch":
        maps[i] = torch.zeros(count + 1, *maps[i].shape[1:], dtype=dtype)
    elif spoilt == "shape":
        maps[i] = torch.zeros(count, channels[i] + 1, *grids[i], dtype=dtype)
    elif spoilt == "dtype":
        maps[i] = maps[i].detach().to(next(d for d in FLOATS if d != dtype))
    elif spoilt == "integers":
        maps[i] = maps[i].detach().to(torch.int64)
    elif spoilt == "rank":
        maps[i] = maps[i].detach().sum(0)
    elif spoilt == "no tensor":
        maps[i] = draw(st.sampled_from(NO_TENSORS))
    elif spoilt == "fewer":
        maps = maps[:3]
    elif spoilt in ("tensor", "none"):
        maps = None if spoilt == "none" else torch.zeros(4, 2, 8, 4, dtype=dtype)
    return maps, spoilt is None, dtype


@lru_cache
def aligner(norm, chosen, dim, dtype):
    torch.manual_seed(0)
    return GranularityAlign(CHANNELS, GRIDS, dim, norm, chosen).to(dtype).eval()


@FEW
@given(
    map_lists(),
    st.sampled_from(["none", "layer"]),
    st.sampled_from([None, (3,), (0, 2)]),
    st.sampled_from([None, 5]),
    st.sampled_from([True, True, True, False]),
    GRAD,
)
def test_granularity_align(drawn, norm, chosen, dim, fits, grad):
    maps, right, dtype = drawn
    module = aligner(norm, chosen, dim, dtype if fits else next(d for d in FLOATS if d != dtype))
    out = None
    if right and fits:  # an inner module: what enters is checked at the doors
        with grad():
            out = module(maps)
    if out is not None:
        assert [m.shape for m in out] == [(len(maps[0]), dim or 6, 2, 1)] * len(chosen or CHANNELS)
        assert all(m.dtype == dtype for m in out)


@lru_cache
def fusion(granularities, preset, fuse, entry, dtype):
    torch.manual_seed(0)
    return (
        MGFF(CHANNELS, GRIDS, preset, granularities=granularities, fuse=fuse, entry=entry, heads=2)
        .to(dtype)
        .eval()
    )


@FEW
@given(
    map_lists(),
    st.sampled_from([(0, 1, 2, 3), (0,), (1, 3)]),
    st.sampled_from(["default", "literal"]),
    st.sampled_from(["nodes", "channels"]),
    st.sampled_from(["residual", "replace"]),
    st.booleans(),
    GRAD,
)
def test_mgff(drawn, granularities, preset, fuse, entry, training, grad):
    maps, right, dtype = drawn
    module = fusion(granularities, preset, fuse, entry, dtype)
    out = ask(lambda: runs(module, maps, training, grad), right, "map")
    if out is not None:
        count, g = len(maps[0]), len(granularities)
        assert out["nodes"].shape == ((count, 2 * g, 6) if fuse == "nodes" else (count, 2, 6 * g))
        assert out["embedding"].shape == (count, 6) and out["embedding"].dtype == dtype
        assert out["embedding"].isfinite().all()


@lru_cache
def attention(kind, dtype):
    torch.manual_seed(0)
    if kind == "channel":
        return ChannelAttention(6, 2).to(dtype).eval()
    options = (
        {} if kind == "plain" else dict(heads=3, residual=True, norm=True, identity_start=True)
    )
    return SpatialSelfAttention(6, (4, 5), **options).to(dtype).eval()


@FEW
@given(
    batches(channels=6, sizes=st.just((4, 5))),
    st.sampled_from(["plain", "full", "channel"]),
    st.sampled_from(FLOATS),
    GRAD,
)
def test_attentions(batch, kind, weights, grad):
    (x, right), module = batch, attention(kind, weights)
    if right and x.dtype == weights:  # an inner module: what enters is checked at the doors
        out = runs(module, x, False, grad)
        assert out.shape == x.shape and out.dtype == x.dtype and out.isfinite().all()
        same_for_any_layout(module, x, out, grad)


@lru_cache
def graph_part(kind, dtype):
    torch.manual_seed(0)
    return (
        {
            "conv": lambda: GraphConv(6, 6, 5, residual=True),
            "similar": lambda: GraphConv(6, 4, 5, "similarity"),
            "pool": lambda: SuperNodePool(6, 5, 2),
            "head": lambda: GCNHead(6, 4, 5, norm_nodes=True),
            "bare head": lambda: GCNHead(6, 6, 5, graph=False, pool="none"),
            "head before": lambda: GCNHead(6, 4, 5, 2, pool="before", scores="position"),
        }[kind]()
        .to(dtype)
        .eval()
    )


@FEW
@given(
    st.data(),
    st.sampled_from(["conv", "similar", "pool", "head", "bare head", "head before"]),
    st.sampled_from(FLOATS),
    GRAD,
)
def test_graph(data, kind, weights, grad):
    shape = data.draw(st.sampled_from([(0, 5, 6), (1, 5, 6), (3, 5, 6)]))
    x = data.draw(tensors(shape, (weights,)))
    out = runs(graph_part(kind, weights), x, False, grad)
    vector = out["embedding"] if isinstance(out, dict) else out
    assert len(vector) == len(x) and vector.dtype == x.dtype and vector.isfinite().all()


@lru_cache
def cropper(rule="class_token_clipped", tau=None):
    torch.manual_seed(0)
    vit = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=0
    )
    return ViTCropper(vit, rule, tau)


@FEW
@example((torch.zeros(1, 3, 1000, 37), True), "class_token", "crop", nullcontext)
@given(
    batches(),
    st.sampled_from(sorted(RULES)),
    st.sampled_from(["response_map", "boxes", "crop", "__call__"]),
    GRAD,
)
def test_vit_cropper(batch, rule, method, grad):
    x, right = batch
    accepted = right and x.is_floating_point()
    out = ask(lambda: runs(cropper(rule), x, False, grad, method), accepted, "x:")
    if out is None:
        return
    count, height, width = len(x), *x.shape[2:]
    if method in ("boxes", "__call__"):
        boxes = out if method == "boxes" else out.boxes
        assert boxes.shape == (count, 4)
        for x0, y0, x1, y1 in boxes.tolist():
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    else:
        assert out.shape == (
            (count, 1, height, width) if method == "response_map" else (count, 3, height, width)
        )
        assert out.isfinite().all()
        assert out.dtype == (torch.float32 if method == "response_map" else x.dtype)


@FEW
@given(
    batches(sizes=st.sampled_from([(32, 32)] * 3 + [(31, 32), (1, 1)])),
    st.sampled_from([*sorted(RULES), "none", 3]),
)
def test_response_map(batch, rule):
    (x, right), vit = batch, cropper().vit
    accepted = right and x.dtype == torch.float32 and rule in RULES and x.shape[2:] == (32, 32)
    out = ask(lambda: response_map(vit, x, rule), accepted, "x:", "rule")
    if out is not None:
        assert (
            out.shape == (len(x), 1, 32, 32) and out.dtype == torch.float32 and out.isfinite().all()
        )


class Means(torch.nn.Module):
    """The smallest classifier: three classes from the three mean colours."""

    pretrained_cfg = {"input_size": (3, 8, 8)}

    def forward(self, x):
        return x.mean((2, 3))


@lru_cache
def system(resize=None):
    return TwoStageClassifier(Means(), cropper(), resize=resize)


@st.composite
def pictures(draw):
    """A PIL image of any mode and size."""
    height, width = draw(SIZES)
    mode = draw(
        st.sampled_from(
            ["RGB", "RGB", "L", "RGBA", "P", "CMYK", "I;16", "F", "1", "LA", "YCbCr", "HSV"]
        )
    )
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if mode in ("I;16", "F"):
        return Image.fromarray(noise[..., 0].astype(np.uint16 if mode == "I;16" else np.float32))
    return (
        Image.fromarray(noise).convert("L").convert(mode)
        if mode == "LA"
        else Image.fromarray(noise).convert(mode)
    )


@FEW
@given(
    st.one_of(
        batches(),
        st.lists(pictures(), max_size=3).map(lambda some: (some, bool(some))),
        pictures().map(lambda one: (one, True)),
    ),
    st.sampled_from([None, 10]),
    st.sampled_from([1, 2, 64]),
)
def test_two_stage_classifier(drawn, resize, batch_size):
    (images, right), model = drawn, system(resize)
    if isinstance(images, torch.Tensor):
        single = images.ndim == 3 and images.shape[0] == 3  # one image without its batch is welcome
        right = (
            (right or single)
            and images.is_floating_point()
            and len(images) > 0
            and 0 not in images.shape
        )
    elif images is None or isinstance(images, np.ndarray):
        right = False
    result = ask(lambda: model.predict(images, batch_size=batch_size), right, "images")
    if result is not None:
        count = (
            1 if getattr(images, "ndim", 4) == 3 or isinstance(images, Image.Image) else len(images)
        )
        assert result.merged.shape == (count, 3) and result.boxes.shape == (count, 4)
        torch.testing.assert_close(result.merged.sum(1), torch.ones(count))


@FEW
@given(
    st.one_of(
        pictures(),
        tensors((3, 20, 30), (torch.uint8, torch.float32)),
        st.sampled_from([*NO_TENSORS, np.zeros((20, 30, 3), np.uint8)]),
    ),
    st.booleans(),
    st.booleans(),
)
def test_transforms(image, training, boxed):
    make = train_transform if training else eval_transform
    accepted = isinstance(image, Image.Image)
    if boxed:
        out = ask(lambda: transform_with_box(make(16), image, (0, 0, 1, 1)), accepted, "image")
        if out is not None:
            assert out[1].shape == (4,) and (out[1] >= 0).all() and (out[1] <= 16).all()
            out = out[0]
    else:
        out = ask(lambda: make(16)(image), accepted or None, "image")
    if out is not None:
        assert out.shape == (3, 16, 16) and out.dtype == torch.float32 and out.isfinite().all()


# ---- options: a table of what each accepts and of what it must refuse by name ----

SIDES = ([1, 5, (3, 7), [4, 4]], [0, -1, 2.5, "4", (1, 2, 3), True, (0, 4), float("nan")])
COUNT = ([0, 1, 7], [-1, 2.5, "3", True, float("nan")])
RATE = ([0, 0.0, 0.3], [-0.1, 1.5, "a", float("nan")])
SWIN_OPTIONS = {
    "img_size": SIDES,
    "patch_size": ([1, 4, (2, 3)], [0, -1, 2.5, "4", True]),
    "window_size": SIDES,
    "in_chans": ([1, 3], [0, -1, 2.5, "3", None, True]),
    "num_classes": COUNT,
    "global_pool": (["avg", ""], ["max", 1]),
    "embed_dim": ([4, 8], [0, -4, 2.5, "8", None]),
    "depths": (
        [(1, 1, 1, 1), (1, 2, 0, 1)],
        [(1, 1), (1, -1, 1, 1), (1.5, 1, 1, 1), 4, "1111", None],
    ),
    "num_heads": (
        [(1, 2, 2, 4), (1, 1, 1, 1)],
        [(1, 2), (3, 3, 3, 3), (0, 1, 1, 1), (-1, 1, 1, 1), 2, None],
    ),
    "mlp_ratio": ([1, 4.0], [0, -1, "4", None]),
    "drop_rate": RATE,
    "proj_drop_rate": RATE,
    "attn_drop_rate": RATE,
    "drop_path_rate": RATE,
}
MGFF_OPTIONS = {
    "preset": (["default", "literal"], ["letter", 3, None, []]),
    "granularities": (
        [(0, 1, 2, 3), [1], (3, 0)],
        [(), (4,), (0, 0), 2, "01", None, (0.5,), (True,)],
    ),
    "entry": (["residual", "replace"], ["add", None, []]),
    "dim": ([None, 4], [0, -1, 2.5, "4", True]),
    "align_norm": (["none", "layer"], ["batch", None]),
    "heads": ([None, 1, 2], [0, 5, 2.0, "2", -1]),
    "reduction": ([1, 16], [0, -1, 2.5, "16", None]),
    "fuse": (["nodes", "channels"], ["sum", 1]),
    "adjacency": (["learned", "similarity", "grid"], ["grids", None]),
    "pool": (["after", "none"], ["mid", None]),
    "super_nodes": ([None, 1, 3], [0, -1, 2.5, "3", True]),
    "scores": (["content", "position"], ["both", None]),
    "drop": RATE,
    "self_attention": ([True, False], ["yes", 2, None]),
    "graph": ([True, False], ["no", None]),
    "position_bias": ([True, False], ["no", 3]),
    "channel_attention": ([True, False], ["no", 3]),
}
CLASSIFIER_OPTIONS = {
    "backbone": (["swin_nano"], ["swin_nanno", 3, None, ""]),
    "num_classes": COUNT,
    "img_size": ([32, (32, 40)], [0, -1, 2.5, "32", (1, 2, 3)]),
    "drop_rate": RATE,
    "drop_path_rate": RATE,
    "preset": (["default", "literal", "baseline"], ["letter", 3, []]),
    "colour": ([], ["red"]),
}
CROPPER_OPTIONS = {
    "rule": ([None, *sorted(RULES)], ["best", 3, []]),
    "tau": ([None, "otsu", 0, 1.5], [-1, "mean", float("nan"), True]),
    "padding": ([0, 0.05, 1], [-0.1, 1.5, "5%", None, float("nan")]),
    "input_size": ([None, 32, (32, 32)], [0, -1, 2.5, "32", (1, 2, 3), True]),
}
TWO_STAGE_OPTIONS = {
    "weight": ([0, 0.5, 1], [-0.1, 2, "half", None, float("nan")]),
    "merge": (["probabilities", "logits"], ["sum", 3, None]),
    "input_size": ([None, 8, (8, 9)], [0, -1, 2.5, "8", (1, 2, 3), True]),
    "mean": ([None, (0.5, 0.5, 0.5), [0, 0, 0]], [(0.5,), "abc", 0.5]),
    "std": ([None, (0.5, 0.5, 0.5)], [(0.5,), (1, 0, 1), "abc", 0.5]),
    "resize": ([None, 10], [3, "a", 9.5, True]),
}
TRANSFORM_OPTIONS = {
    "img_size": ([1, 16], [0, -1, 2.5, "16", None, True]),
    "resize": ([None, 40], [3, "a", 16.5]),
    "mean": ([(0, 0, 0), [0.5] * 3], [(0.5,), "abc", 0.5, None]),
    "std": ([(1, 1, 1)], [(1, 0, 1), "abc", 0.5, (1, 1)]),
    "interpolation": (["nearest", "bicubic"], ["cubic", 3, None, []]),
    "crop": (["random", "resized"], ["centre", 3, []]),
    "flip": RATE,
    "erase": RATE,
    "colour_jitter": ([0, 0.4], [-1, "a", None, float("nan")]),
    "scale": (
        [(0.3, 1.0), [0.1, 0.1]],
        [(0.9, 0.1), 0.5, ("a", "b"), (0, 1), None, (0.1, 0.2, 0.3)],
    ),
}
RENDER_OPTIONS = {
    "species": ([0, 19, "Crested Marsh Pipit"], [20, -1, 1.5, "pigeon", None, [], True]),
    "seed": ([0, 2**63 - 1, np.int64(3)], [-1, 1.5, "1", None, 2**63, True]),
    "size": ([16, 37], [15, 4000, 32.0, "32"]),
    "scale": ([None, 0.05, 1], [0, 1.1, "a", float("nan"), True]),
    "camouflage": ([None, 0, 1], [-1, 2, "a"]),
    "part_scale": ([None, 0.25, 3], [0, 4, "a"]),
    "background": ([None, "water"], ["sea", 3, []]),
    "pose": ([None, "perched"], ["flying", 3, []]),
    "flip": ([None, True, False], ["left", 1, 0.5]),
    "rotation": ([None, -180, 33.3], [181, "a", float("inf")]),
    "centre": ([None, (0.5, 0.5), (0, 1)], [0.5, (0.5,), (2, 0), ("a", "b"), "ab"]),
    "occluders": ([None, 0, 8], [9, -1, 1.5]),
}


def fusion_of(**options):
    return MGFF(CHANNELS, GRIDS, **options)(
        [torch.zeros(1, c, *g) for c, g in zip(CHANNELS, GRIDS)]
    )["embedding"]


def classify(**options):
    model = MGFFClassifier(**{"backbone": "swin_nano", "img_size": 32, **options})
    return model(torch.zeros(1, 3, *model.img_size))


def small_swin(**options):
    settings = dict(
        img_size=24,
        embed_dim=8,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 1, 1),
        window_size=3,
        in_chans=3,
    )
    model = SwinTransformer(**{**settings, **options})
    return model(torch.zeros(1, model.in_chans, 9, 20))


def find(**options):
    return ViTCropper(cropper().vit, **options).boxes(torch.zeros(1, 3, 20, 30))


def both_stages(**options):
    return TwoStageClassifier(Means(), cropper(), **options).predict(torch.zeros(3, 20, 30)).merged


def transformed(**options):
    return train_transform(**{"img_size": 16, **options})(Image.new("RGB", (20, 30)))


def drawn(**options):
    return torch.from_numpy(
        render(**{"species": 3, "seed": 5, "size": 16, **options}).part_map.astype(float)
    )


BUILDS = {
    "SwinTransformer": (small_swin, SWIN_OPTIONS),
    "MGFF": (fusion_of, MGFF_OPTIONS),
    "ViTCropper": (find, CROPPER_OPTIONS),
    "MGFFClassifier": (classify, CLASSIFIER_OPTIONS),
    "TwoStageClassifier": (both_stages, TWO_STAGE_OPTIONS),
    "train_transform": (transformed, TRANSFORM_OPTIONS),
    "render": (drawn, RENDER_OPTIONS),
}


@pytest.mark.parametrize("name", BUILDS)
def test_every_bad_option_is_refused_by_name(name):
    build, table = BUILDS[name]
    failures = []
    for option, (_, bad) in table.items():
        for value in bad:
            try:
                ask(
                    lambda: build(**{option: value}),
                    False,
                    option,
                    option.partition("_")[2] or option,
                )
            except Exception as error:
                failures.append(f"{option}={value!r}: {type(error).__name__}: {str(error)[:150]}")
            except AssertionError as error:
                failures.append(f"{option}={value!r}: {str(error)[:150]}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", BUILDS)
@FEW
@given(data=st.data())
def test_good_options_work_together(name, data):
    build, table = BUILDS[name]
    options = {
        o: data.draw(st.sampled_from(good))
        for o, (good, _) in table.items()
        if good and data.draw(st.booleans())
    }
    out = ask(lambda: build(**options), None, *options)
    if out is not None:
        assert out.isfinite().all()


@FEW
@given(st.text(max_size=30))
def test_any_text_as_a_name(name):
    for call in (
        lambda: create_model(name),
        lambda: MGFFClassifier(name),
        lambda: ViTCropper(name),
        lambda: render(name, 0),
        lambda: cropper(name),
    ):
        ask(call, False, repr(name), "nknown")


@FEW
@given(
    tensors((2, 3, 9, 7), FLOATS),
    st.lists(
        st.lists(st.floats(-20, 20, width=32) | st.just(float("nan")), min_size=4, max_size=4),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([4, (3, 5), 1, 0, -1, "4", 2.5]),
)
def test_crop_batch(images, boxes, size):
    boxes = torch.tensor(boxes)
    out = ask(lambda: crop_batch(images, boxes, size), None, "box", "size")
    if out is not None:
        assert size in (4, (3, 5), 1) and len(boxes) == 2 and out.dtype == images.dtype
        assert out.shape == (2, 3, *((size, size) if isinstance(size, int) else size))


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: pick_device("gpu"), "gpu"),
        (lambda: pick_device("cuda:99"), "cuda:99"),
        (lambda: pick_device(None), "None"),
        (lambda: pick_device(1.5), "1.5"),
        (lambda: seed_everything("a"), "seed"),
        (lambda: seed_everything(2**64), "seed"),
        (lambda: seed_everything(1.5), "seed"),
        (lambda: create_model("resnet18.none"), "resnet18.none"),
        (lambda: create_model("mgff_resnet18.none"), "resnet18.none"),
        (lambda: create_model("mgff_"), "nknown"),
        (lambda: create_model("mgff_mgff_swin_nano"), "mgff_swin_nano"),
        (lambda: create_model(7), "name"),
    ],
)
def test_devices_seeds_and_names(call, word):
    ask(call, False, word)
