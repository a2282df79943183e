"""Assignments in which a student writes a part of the system and the packaged system runs with it.

Four parts, each marked twice: ``swap.1`` asks whether the part equals the packaged one (values,
gradients, on inputs and weights drawn anew), ``swap.1.effect`` whether the trained system says the
same of `PICTURES` with the part in place. The texts are in ``notebooks/ASSIGNMENTS.md``.

The names of parameters are part of the task: the trained weights are loaded into the student's part
by name.
"""

import functools

import torch
from torch import nn

from ..attention import SpatialSelfAttention
from ..checks.cases import Draw
from ..checks.core import CheckFailed, ask, ask_tensor, exercise, expect, expect_shape
from ..graph import GraphConv
from ..response import Rule, class_row_clipped

PICTURES = "the first five test pictures of each of the 20 species of SketchBirds"
# Accuracy alone tells little: the trained model is as often right without its graph convolution.
MOST_CHANGED = 1  # classes or boxes that may differ: a threshold can fall between two equal numbers
WEIGHT = 0.4  # of the second look; not a half, so that an exchange of the looks shows
NEARER = 1e-3  # of two probabilities that should be the same


# ---- 1: the graph convolution ----


def _packaged_graph(in_dim, out_dim, nodes):
    return GraphConv(in_dim, out_dim, nodes, residual=in_dim == out_dim)


@exercise("Assignment swap.1", answer="GraphConv", points=6)
def check_graph_conv_part(graph_conv):
    """A module (B, N, C) -> (B, N, D) against `GraphConv`, at several sizes."""
    draw = Draw()
    sizes = [(16, 16, 9), (12, 12, 1), (8, 20, 6), (20, 8, 5)]
    for in_dim, out_dim, nodes in sizes:
        what = f"GraphConv({in_dim}, {out_dim}, {nodes})"
        part = _module(what, graph_conv, in_dim, out_dim, nodes)
        packaged = _packaged_graph(in_dim, out_dim, nodes)
        _expect_names(what, part, packaged)
        own = dict(part.named_parameters())
        start = {"adjacency": (torch.eye(nodes) + 1 / nodes) / 2, "alpha": torch.zeros(())}
        for name, value in start.items():
            _expect_near(f"{what}: {name} at the start", own[name], value)
        _same_weights(draw, part, packaged)
        x = draw.normal(draw.integer(1, 3), nodes, in_dim)
        _compare(draw, what, part, packaged, x)


@exercise("Assignment swap.1.effect", answer="GraphConv", points=2)
def check_graph_conv_effect(graph_conv):
    """The trained `mgff_swin_nano` with this graph convolution."""
    _expect_same_answers(graph=graph_conv)


# ---- 2: attention over positions ----


@exercise("Assignment swap.2", answer="SpatialAttention", points=6)
def check_attention_part(attention):
    """A module (B, C, H, W) -> (B, C, H, W) against `SpatialSelfAttention`."""
    draw = Draw()
    for dim, grid in ((64, (3, 3)), (128, (2, 4)), (192, (4, 1)), (24, (1, 1))):
        what = f"SpatialAttention({dim}, {grid})"
        part = _module(what, attention, dim, grid)
        packaged = _packaged_attention(dim, grid)
        _expect_names(what, part, packaged)
        x = draw.normal(draw.integer(1, 3), dim, *grid)
        got = ask_tensor(what, part, x)
        _expect_near(f"{what} at the start, where V must be 0: the result", got, x)
        _same_weights(draw, part, packaged)
        _compare(draw, what, part, packaged, x)


def _packaged_attention(dim, grid):
    return SpatialSelfAttention(
        dim, grid, max(dim // 64, 1), residual=True, norm=True, identity_start=True
    )


@exercise("Assignment swap.2.effect", answer="SpatialAttention", points=2)
def check_attention_effect(attention):
    """The trained `mgff_swin_nano` with this attention on each of its four maps."""
    _expect_same_answers(attention=attention)


# ---- 3: a response rule ----


@exercise("Assignment swap.3", answer="response_rule", points=4)
def check_rule_part(rule):
    """A function of attention matrices against `class_row_clipped`."""
    draw = Draw()
    for layers, heads, patches, prefix in ((4, 4, 30, 1), (1, 2, 50, 1), (3, 1, 25, 5)):
        shape = draw.integer(2, 3), heads, prefix + patches, prefix + patches
        scores = [3 * draw.normal(*shape) for _ in range(layers)]
        what = f"response_rule of {layers} matrices of shape {tuple(shape)}, prefix {prefix}"
        mine, theirs = ([s.clone().requires_grad_() for s in scores] for _ in range(2))
        got = ask_tensor(what, rule, [s.softmax(-1) for s in mine], prefix)
        expected = _packaged_rule([s.softmax(-1) for s in theirs], prefix)
        expect_shape(what, got, expected.shape)
        _expect_near(what, got, expected)
        _compare_gradients(draw, what, got, expected, mine, theirs)


class _Matrix:
    """An attention matrix in the form of `response.LayerAttention`."""

    def __init__(self, weights):
        self.weights = weights

    def matrix(self, queries=slice(None)):
        return self.weights[:, :, queries]


class _Record:
    has_class_token = True

    def __init__(self, matrices, prefix):
        self.layers, self.prefix = [_Matrix(m) for m in matrices], prefix


def _packaged_rule(matrices, prefix):
    return class_row_clipped(_Record(matrices, prefix))


@exercise("Assignment swap.3.effect", answer="response_rule", points=2)
def check_rule_effect(rule):
    """Both looks at the pictures, with the cropper led by this rule."""

    def weigh(record):
        matrices = [layer.matrix() for layer in record.layers]
        return ask_tensor("the rule's result", rule, matrices, record.prefix)

    got, right = _two_looks(weigh), _packaged_looks()
    moved = int(((got.boxes - right.boxes).abs().amax(1) > 1).sum())
    own, packaged = (_iou(looks.boxes) for looks in (got, right))
    _expect_same_classes(
        got.merged,
        right.merged,
        f"{moved} boxes are others; their mean IoU with the true boxes is {own:.2f}, packaged "
        f"{packaged:.2f}.",
        MOST_CHANGED if moved <= MOST_CHANGED else -1,
    )


# ---- 4: the merge ----


@exercise("Assignment swap.4", answer="merge", points=4)
def check_merge_part(merge):
    """Two sets of class probabilities against the softmax of the mean logits."""
    draw = Draw()
    cases = [(draw.integer(1, 6), draw.integer(2, 30), draw.uniform(1).item()) for _ in range(4)]
    for count, classes, weight in [*cases, (3, 5, 0.0), (3, 5, 1.0), (2, 2, 0.5)]:
        weight = round(weight, 2)
        what = f"merge of {count} pictures, {classes} classes, weight {weight}"
        logits = [4 * draw.normal(count, classes) for _ in range(2)]
        mine, theirs = ([z.clone().requires_grad_() for z in logits] for _ in range(2))
        got = ask_tensor(what, merge, *(z.softmax(1) for z in mine), weight)
        expected = torch.lerp(*theirs, weight).softmax(1)
        expect_shape(what, got, expected.shape)
        _expect_near(what, got, expected)
        _compare_gradients(draw, what, got, expected, mine, theirs)
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    other = torch.tensor([[0.2, 0.8, 0.0], [0.5, 0.5, 0.0]])
    for weight, expected in ((0.0, sure), (1.0, other), (0.5, [[1.0, 0, 0], [0, 1.0, 0]])):
        got = ask_tensor("merge of probabilities that are 0", merge, sure, other, weight)
        _expect_near(
            f"merge of probabilities that are exactly 0, weight {weight}",
            got,
            torch.as_tensor(expected),
        )


@exercise("Assignment swap.4.effect", answer="merge", points=2)
def check_merge_effect(merge):
    """What `TwoStageClassifier.predict` found in the pictures, merged by this function."""
    looks = _packaged_looks()
    got = ask_tensor("merge of the two looks", merge, looks.stage1, looks.stage2, WEIGHT)
    expect_shape("merge of the two looks", got, looks.merged.shape)
    _expect_same_classes(got, looks.merged, nearer=NEARER)


# ---- equality ----


def _module(what, build, *arguments):
    part = ask(build, *arguments)
    expect(
        isinstance(part, nn.Module),
        f"{what}: expected a torch.nn.Module, got {type(part).__name__}.",
    )
    return part


def _expect_names(what, part, packaged):
    """The same parameters; buffers are the student's own affair."""
    wanted = {name: tuple(p.shape) for name, p in packaged.named_parameters()}
    got = {name: tuple(p.shape) for name, p in part.named_parameters()}
    for name, shape in wanted.items():
        place = name.rpartition(".")[0]
        beside = [n for n in got if n.startswith(place)]
        expect(
            name in got,
            f"{what}: the parameter {name} of shape {shape} is missing, so trained weights can't "
            f"be loaded; there are {', '.join(beside) or 'none beside it'}.",
        )
        expect(
            got[name] == shape, f"{what}: {name} must have shape {shape}, yours has {got[name]}."
        )
    extra = got.keys() - wanted.keys()
    if extra:
        raise CheckFailed(
            f"{what}: the parameter {min(extra)} is one too many: no trained weight has that name."
        )


def _same_weights(draw, part, packaged):
    """New random weights for both."""
    own = dict(part.named_parameters())
    with torch.no_grad():
        for name, parameter in packaged.named_parameters():
            value = draw.normal(1, *parameter.shape)[0] / max(parameter.shape[-1:] or (1,)) ** 0.5
            parameter.copy_(value)
            own[name].copy_(value)


def _compare(draw, what, part, packaged, x):
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, expected = ask_tensor(what, part, mine), packaged(theirs)
    expect_shape(what, got, expected.shape)
    _expect_near(what, got, expected)
    own = dict(part.named_parameters())
    names, right = zip(*packaged.named_parameters())
    _compare_gradients(
        draw,
        what,
        got,
        expected,
        [mine, *(own[name] for name in names)],
        [theirs, *right],
        ["the input", *names],
    )


def _compare_gradients(draw, what, got, expected, mine, theirs, names=None):
    expect(
        got.requires_grad,
        f"{what}: the result has no gradient; nothing before it could learn (detach, no_grad, "
        "numpy?).",
    )
    weights = draw.normal(*expected.shape)
    found = torch.autograd.grad((got * weights).sum(), mine, allow_unused=True)
    right = torch.autograd.grad((expected * weights).sum(), theirs, allow_unused=True)
    for i, (a, b) in enumerate(zip(found, right)):
        b = torch.zeros_like(theirs[i]) if b is None else b
        a = torch.zeros_like(b) if a is None else a
        name = names[i] if names else f"argument {i + 1}"
        _expect_near(f"{what}: the gradient with respect to {name}", a, b)


def _expect_near(what, got, expected):
    """Within 1e-4 of the largest expected number, or of 1."""
    expect_shape(what, got, expected.shape)
    got, expected = got.detach().double(), expected.detach().double()
    off = (got - expected).abs().max().item() if expected.numel() else 0.0
    limit = 1e-4 * max(1.0, expected.abs().max().item()) if expected.numel() else 0.0
    if not off <= limit:  # also catches NaN
        raise CheckFailed(
            f"{what}: differs by up to {off:.2g}; the largest number expected is "
            f"{expected.abs().max().item():.2g}."
        )


# ---- effect ----


@functools.cache
def _pictures():
    """(numbers, PIL images, classes, true boxes) of `PICTURES`."""
    from ..datasets import SketchBirds

    birds, chosen = SketchBirds("test"), []
    for species in range(len(birds.classes)):
        chosen += [i for i, label in enumerate(birds.labels) if label == species][:5]
    return (
        [birds[i][0] for i in chosen],
        torch.tensor([birds.labels[i] for i in chosen]),
        torch.as_tensor(birds.boxes[chosen]).float(),
    )


@functools.cache
def _inputs():
    from ..datasets.transforms import transforms_for

    prepare = transforms_for(_trained(), train=False)
    return torch.stack([prepare(image) for image in _pictures()[0]])


@functools.cache
def _trained():
    from ..models import create_model

    return create_model("mgff_swin_nano", pretrained=True).eval()


@functools.cache
def _packaged_answers():
    with torch.no_grad():
        return _trained()(_inputs()).softmax(1)


def _expect_same_answers(**parts):
    """`mgff_swin_nano` with a student's part and the trained weights."""
    from ..mgff import MGFFClassifier

    ((name, build),) = parts.items()
    trained = _trained()
    own = {name: lambda *arguments: _module(name, build, *arguments)}
    model = MGFFClassifier("swin_nano", trained.num_classes, trained.img_size, **own).eval()
    mine = dict(model.named_parameters())
    _expect_names("the model with your part", model, trained)
    with torch.no_grad():
        for key, parameter in trained.named_parameters():
            mine[key].copy_(parameter)
        right, images = _packaged_answers(), _inputs()
        got = torch.cat([ask_tensor("the logits", model, part) for part in images.split(20)])
    expect_shape("the logits", got, right.shape)
    _expect_same_classes(got.softmax(1), right, nearer=NEARER)


@functools.cache
def _cropping_vit():
    from ..models import create_model

    return create_model("vit_nano", pretrained=True, img_size=96)  # at 96 pixels: quicker


def _two_looks(weigh):
    from ..cropper import ViTCropper
    from ..two_stage import TwoStageClassifier

    cropper = ViTCropper(_cropping_vit(), rule=Rule(weigh, last=4, tau="otsu"))
    system = TwoStageClassifier(_trained(), cropper, weight=WEIGHT, merge="logits")
    return system.predict(_pictures()[0], batch_size=20)


@functools.cache
def _packaged_looks():
    return _two_looks(class_row_clipped)


def _iou(boxes):
    from torchvision.ops import box_iou

    return box_iou(boxes.float(), _pictures()[2]).diagonal().mean().item()


def _expect_same_classes(got, right, more="", changes=MOST_CHANGED, nearer=1.0):
    """Predictions of the system with a student's part, and those that it makes with its own.

    Args:
        got, right: (B, K) probabilities. more: said in addition. changes: classes that may differ.
        nearer: largest difference between two probabilities.
    """
    labels = _pictures()[1]
    expect(
        bool(torch.isfinite(got).all()), "With your part some probabilities are not finite numbers."
    )
    changed = int((got.argmax(1) != right.argmax(1)).sum())
    own, packaged = ((p.argmax(1) == labels).sum().item() for p in (got, right))
    off = (got - right).abs().max().item()
    expect(
        changed <= changes and off <= nearer,
        f"With your part the trained system names another class in {changed} of {len(labels)} "
        f"pictures, and its probabilities differ by up to {100 * off:.2g} points: {own} are right, "
        f"{packaged} with the packaged part. {more}".rstrip(),
    )


def prepare():
    """Load models and pictures, and run the packaged system: once, outside of time limits."""
    _packaged_answers(), _packaged_looks()


CHECKS = (
    check_graph_conv_part,
    check_graph_conv_effect,
    check_attention_part,
    check_attention_effect,
    check_rule_part,
    check_rule_effect,
    check_merge_part,
    check_merge_effect,
)
