"""Checks of notebook 00: top-k accuracy and a looser box."""

import torch

from .cases import compare, draw
from .core import exercise


def _top_k(probabilities, labels, k):
    places = probabilities.argsort(dim=1, descending=True)[:, :k]
    return (places == labels[:, None]).any(dim=1).double().mean()


@exercise("Exercise 0.1")
def check_top_k(top_k_accuracy):
    """Batches of several sizes, more classes than places, and every k."""
    cases = []
    for batch, classes in ((4, 3), (9, 5), (12, 7), (1, 4), (15, 6)):
        probabilities = (2 * draw.normal(batch, classes)).softmax(1)
        labels = torch.tensor([draw.integer(0, classes - 1) for _ in range(batch)])
        cases += [(probabilities, labels, k) for k in range(1, classes + 1)]
    compare(
        top_k_accuracy,
        _top_k,
        cases,
        [
            ("That is the top-1 accuracy: k is not used.", lambda p, y, k: _top_k(p, y, 1)),
            (
                "You return a count; divide by the number of images.",
                lambda p, y, k: _top_k(p, y, k) * len(y),
            ),
            (
                "You average over the k places too; an image counts once, if any of its k places "
                "is right.",
                lambda p, y, k: (p.topk(k).indices == y[:, None]).double().mean(),
            ),
            ("Those are the k LEAST probable classes.", lambda p, y, k: _top_k(-p, y, k)),
            (
                "That is the share of images whose class is NOT among the k.",
                lambda p, y, k: 1 - _top_k(p, y, k),
            ),
            (
                "You divide by the number of classes; divide by the number of images.",
                lambda p, y, k: _top_k(p, y, k) * len(y) / p.shape[1],
            ),
            (
                "One place too many: the k most probable are the places 0 to k - 1.",
                lambda p, y, k: _top_k(p, y, k + 1),
            ),
            (
                "One place too few: the k most probable are the places 0 to k - 1.",
                lambda p, y, k: _top_k(p, y, k - 1),
            ),
            (
                "One verdict for each image came back; take their mean.",
                lambda p, y, k: (p.topk(k).indices == y[:, None]).any(1),
            ),
        ],
        describe=lambda p, y, k: f"top-{k} accuracy of {len(y)} images and {p.shape[1]} classes",
        form="one number",
        hint="Of each image, ask whether its label is among the k most probable classes; then "
        "take the mean over images.",
    )


def _loosen(box, factor, width, height, clip=True):
    x0, y0, x1, y1 = box
    x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, factor * (x1 - x0) / 2, factor * (y1 - y0) / 2
    out = (x - w, y - h, x + w, y + h)
    return _clip(out, width, height) if clip else out


def _clip(box, width, height):
    x0, y0, x1, y1 = box
    return max(0, x0), max(0, y0), min(width, x1), min(height, y1)


def _from_corner(box, factor, width, height):
    x0, y0, x1, y1 = box
    return _clip((x0, y0, x0 + factor * (x1 - x0), y0 + factor * (y1 - y0)), width, height)


@exercise("Exercise 0.2")
def check_loose_box(loosen):
    """Boxes inside and at each border of images that are not square; the factors 1 and below."""
    cases = [
        ((40, 40, 60, 80), 1.5, 100, 120),
        ((10, 20, 30, 40), 1.0, 120, 90),
        ((0, 30, 40, 50), 2.0, 100, 80),
        ((70, 0, 90, 20), 1.5, 160, 90),
        ((130, 20, 160, 50), 1.4, 160, 90),
        ((20, 60, 50, 90), 1.5, 160, 90),
        ((10, 10, 150, 80), 3.0, 160, 90),
        ((10, 10, 80, 150), 3.0, 90, 160),
        ((20, 30, 60, 50), 0.5, 90, 160),
    ]
    for _ in range(12):
        width, height = draw.integers(2, 60, 200)
        box = draw.box(width, height)
        cases.append((box, draw.integer(3, 12) / 4, width, height))
    compare(
        loosen,
        _loosen,
        cases,
        [
            (
                "The box grew too much: the factor is for the whole side, so each side moves by "
                "half the growth.",
                lambda b, f, w, h: _loosen(b, 2 * f - 1, w, h),
            ),
            (
                "The box grew too much: half a side is factor * (x1 - x0) / 2.",
                lambda b, f, w, h: _loosen(b, 2 * f, w, h),
            ),
            ("The box is not clipped: it may leave the image.", lambda *a: _loosen(*a, clip=False)),
            (
                "Clip x to the width and y to the height; yours is the other way round.",
                lambda b, f, w, h: _clip(_loosen(b, f, w, h, clip=False), h, w),
            ),
            ("The upper left corner stayed; the CENTRE must stay.", _from_corner),
            (
                "Only the sides at 0 are clipped; the far sides end at width and height.",
                lambda *a: (*_loosen(*a)[:2], *_loosen(*a, clip=False)[2:]),
            ),
            (
                "Only the far sides are clipped; the near ones end at 0.",
                lambda *a: (*_loosen(*a, clip=False)[:2], *_loosen(*a)[2:]),
            ),
            (
                "The far sides end at width and height, not one before.",
                lambda b, f, w, h: _clip(_loosen(b, f, w, h, clip=False), w - 1, h - 1),
            ),
            ("The box came back as it was.", lambda b, f, w, h: b),
            (
                "The area grew by the factor; width and height must.",
                lambda b, f, w, h: _loosen(b, f**0.5, w, h),
            ),
        ],
        describe=lambda b, f, w, h: f"box {b}, factor {f}, image of {w} x {h}",
        form="four numbers (x0, y0, x1, y1)",
        hint="Scale half the width and half the height around the centre, then clip each side to "
        "the image.",
    )
