"""Checks of notebook 11: IoU, a square box inside the image, a component without SciPy."""

import numpy as np
from scipy import ndimage

from .core import ask, exercise, expect


def _numbers(what, got, count):
    """``got`` as a list of floats, or a failed check."""
    try:
        values = [float(v) for v in got] if count > 1 else [float(got)]
    except (TypeError, ValueError):
        values = []
    expect(
        len(values) == count, f"{what}: expected {count} number{'s' * (count > 1)}, got {got!r}."
    )
    return values


@exercise("Exercise 11.1")
def check_iou(iou):
    """Equal, shifted, nested, touching and distant boxes."""
    cases = [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1.0),
        ((0, 0, 4, 4), (2, 0, 6, 4), 8 / 24),
        ((0, 0, 10, 10), (2, 2, 4, 7), 0.1),
        ((0, 0, 4, 4), (4, 0, 8, 4), 0.0),
        ((0, 0, 2, 3), (5, 6, 9, 9), 0.0),
        ((1.5, 0, 4, 2), (0, 1, 3, 5), 1.5 / 15.5),
    ]
    for a, b, right in cases:
        (got,) = _numbers(f"iou({a}, {b})", ask(iou, a, b), 1)
        area = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
        shared = right * sum(area) / (1 + right)
        hint = ""
        if (a[2] <= b[0] and a[3] <= b[1]) and got > 0:
            hint = (
                "Both overlaps are negative, and their product is positive: clamp each side "
                "at 0 first."
            )
        elif right == 0 and got < 0:
            hint = "A negative overlap means that the boxes don't touch: clamp it at 0."
        elif abs(got - shared / sum(area)) < 1e-6 and right:
            hint = "The union counts the shared area once: a + b - shared."
        elif abs(got - shared / min(area)) < 1e-6 and right:
            hint = "Divide by the union, not by the smaller box."
        elif right and abs(got - right) < 0.2:
            hint = "The far side is exclusive: a side is x1 - x0, without + 1."
        expect(
            abs(got - right) < 1e-6,
            f"iou({a}, {b}): expected {right:.3f}, got {got:.3f}. {hint}".rstrip(),
        )


def _square(box, width, height):
    """Reference of exercise 11.2."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    out = []
    for low, high, limit in ((x0, x1, width), (y0, y1, height)):
        length = min(side, limit)
        start = min(max((low + high - length) / 2, 0), limit - length)
        out.append((start, start + length))
    return out[0][0], out[1][0], out[0][1], out[1][1]


@exercise("Exercise 11.2")
def check_square(square_box):
    """In the middle, at each border, and larger than the image."""
    cases = [
        ((40, 45, 80, 65), 120, 100),
        ((50, 10, 60, 70), 120, 100),
        ((0, 20, 10, 60), 120, 100),
        ((110, 20, 120, 60), 120, 100),
        ((30, 0, 90, 10), 120, 100),
        ((30, 90, 90, 100), 120, 100),
        ((5, 40, 115, 60), 120, 100),
    ]
    for box, width, height in cases:
        what = f"square_box({box}, width={width}, height={height})"
        got, right = (
            _numbers(what, ask(square_box, box, width, height), 4),
            _square(box, width, height),
        )
        hint = ""
        if got[0] < 0 or got[1] < 0 or got[2] > width or got[3] > height:
            hint = "It leaves the image: shift it back inside."
        elif (
            got[2] - got[0] < right[2] - right[0] - 1e-6
            or got[3] - got[1] < right[3] - right[1] - 1e-6
        ):
            hint = (
                "A side is too short: shift the box back inside, don't clip it (unless it is "
                "larger than the image)."
            )
        elif (
            box[0] - 1e-6 > got[0]
            and abs(got[0] - right[0]) > 1e-6
            and right[0] > 0
            and right[2] < width
        ):
            hint = "Keep the centre of the box where it was."
        expect(
            max(abs(g - r) for g, r in zip(got, right)) < 1e-6,
            f"{what}: expected {tuple(right)}, got {tuple(got)}. {hint}".rstrip(),
        )


@exercise("Exercise 11.3", points=2)
def check_flood(component):
    """Random masks, diagonals, borders that must not wrap around, and a start outside."""
    generator = np.random.default_rng(0)
    snake = np.zeros((12, 12), bool)
    for i in range(12):
        snake[i, i if i % 4 < 2 else 11 - i] = True
    ends = np.zeros((4, 6), bool)
    ends[:, 0] = ends[:, -1] = True
    masks = [
        np.eye(6, dtype=bool),
        ends,
        snake,
        np.ones((5, 9), bool),
        *(generator.random((6, 11, 8)) < 0.4),
    ]
    for number, mask in enumerate(masks):
        labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
        start = tuple(int(v) for v in np.argwhere(mask)[0])
        right = labels == labels[start]
        _compare(component, mask, start, right, number)
    hole = np.ones((3, 3), bool)
    hole[1, 1] = False
    _compare(component, hole, (1, 1), np.zeros((3, 3), bool), "hole")


def _compare(component, mask, start, right, name):
    before = mask.copy()
    got = np.asarray(ask(component, mask.copy(), *start))
    expect(
        got.shape == mask.shape,
        f"mask {name}: expected an array of shape {mask.shape}, got shape {got.shape}.",
    )
    got = got.astype(bool)
    if np.array_equal(got, right):
        return
    four = ndimage.label(before)[0]
    hint = ""
    if before[start] and np.array_equal(got, four == four[start]):
        hint = "Cells that share only a corner belong together too: 8 neighbours."
    elif not before[start]:
        hint = "The start is not in the mask, so nothing is."
    elif np.array_equal(got, before):
        hint = "This is the whole mask, other components included."
    elif (got & ~before).any():
        hint = "Cells outside the mask were taken."
    elif got[:, 0].any() and got[:, -1].any() and not (right[:, 0].any() and right[:, -1].any()):
        hint = "It wraps around: index -1 is the far side of the array."
    elif (right & ~got).any():
        hint = "It stops too early: neighbours of neighbours belong to it as well."
    counts = f"expected {int(right.sum())} cells, got {int(got.sum())}"
    expect(False, f"mask {name}, start {start}: {counts}. {hint}".rstrip())
