"""Checks of notebook 11: IoU, a square box inside the image, a component without SciPy."""

import functools

import numpy as np
from scipy import ndimage

from .cases import compare, draw
from .core import exercise, without

label = functools.partial(ndimage.label)  # ours stays while an answer must do without SciPy's


def _area(box, extra=0):
    return (box[2] - box[0] + extra) * (box[3] - box[1] + extra)


def _sides(a, b, extra=0):
    return [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + extra for i in (0, 1)]


def _iou(a, b, extra=0, clamp=True, union=lambda x, y, shared: x + y - shared):
    w, h = _sides(a, b, extra)
    shared = max(w, 0) * max(h, 0) if clamp else w * h
    return shared / union(_area(a, extra), _area(b, extra), shared)


@exercise("Exercise 11.1")
def check_iou(iou):
    """Equal, shifted, nested, touching and distant boxes, each pair in both orders."""
    pairs = [
        ((0, 0, 4, 4), (2, 0, 6, 4)),
        ((0, 0, 10, 10), (2, 2, 4, 7)),
        ((0, 0, 4, 4), (4, 0, 8, 4)),
        ((0, 0, 2, 3), (5, 6, 9, 9)),
        ((0, 0, 3, 3), (5, 1, 9, 2)),
        ((1.5, 0, 4, 2), (0, 1, 3, 5)),
    ]
    pairs += [(draw.box(20, 30), draw.box(20, 30)) for _ in range(10)]
    compare(
        iou,
        _iou,
        [*pairs, *(pair[::-1] for pair in pairs), ((0, 0, 4, 4), (0, 0, 4, 4))],
        [
            (
                "Two negative overlaps make a positive product, and one makes a negative: clamp "
                "each side at 0 first.",
                lambda a, b: _iou(a, b, clamp=False),
            ),
            (
                "Clamp each SIDE at 0, not their product: two negatives look like an area.",
                lambda a, b: (
                    max(np.prod(_sides(a, b)), 0)
                    / (_area(a) + _area(b) - max(np.prod(_sides(a, b)), 0))
                ),
            ),
            (
                "The union counts the shared area once: a + b - shared.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: x + y),
            ),
            (
                "The union counts the shared area once; subtract it one time, not two.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: x + y - 2 * s),
            ),
            (
                "Divide by the union, not by the smaller box.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: min(x, y)),
            ),
            (
                "Divide by the union, not by the larger box.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: max(x, y)),
            ),
            (
                "Divide by the union, not by the first box.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: x),
            ),
            (
                "Divide by the union, not by the second box.",
                lambda a, b: _iou(a, b, union=lambda x, y, s: y),
            ),
            (
                "The far side is exclusive: a side is x1 - x0, without + 1.",
                lambda a, b: _iou(a, b, 1),
            ),
            (
                "Divide by the area of the union, not by that of the box around both.",
                lambda a, b: _iou(
                    a,
                    b,
                    union=lambda x, y, s: _area(
                        (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
                    ),
                ),
            ),
            (
                "That is the shared area; divide by the union.",
                lambda a, b: _iou(a, b) and np.prod(_sides(a, b)),
            ),
            (
                "The last two numbers are a corner, not width and height.",
                lambda a, b: _iou(
                    (a[0], a[1], a[0] + a[2], a[1] + a[3]), (b[0], b[1], b[0] + b[2], b[1] + b[3])
                ),
            ),
        ],
        describe=lambda a, b: f"iou({a}, {b})",
        form="one number",
        hint="Shared width and height, each clamped at 0; their product divided by the area that "
        "the two boxes cover together.",
        tolerance=1e-6,
    )


def _place(low, high, limit, side, shift=True, clip=True):
    length = min(side, limit) if clip else side
    start = (low + high - length) / 2
    if shift:
        start = min(max(start, 0), limit - length)
    return start, start + length


def _square(box, width, height, largest=max, **rules):
    x0, y0, x1, y1 = box
    side = largest(x1 - x0, y1 - y0)
    left, right = _place(x0, x1, width, side, **rules)
    top, bottom = _place(y0, y1, height, side, **rules)
    return left, top, right, bottom


def _cut_off(box, width, height):
    x0, y0, x1, y1 = _square(box, width, height, shift=False, clip=False)
    return max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)


def _from_corner(box, width, height):
    side = max(box[2] - box[0], box[3] - box[1])
    x0, y0 = (min(max(v, 0), max(m - side, 0)) for v, m in ((box[0], width), (box[1], height)))
    return x0, y0, min(x0 + side, width), min(y0 + side, height)


@exercise("Exercise 11.2")
def check_square(square_box):
    """In the middle, at each border, and larger than images that are not square."""
    cases = [
        ((40, 45, 80, 65), 120, 100),
        ((50, 10, 60, 70), 120, 100),
        ((0, 20, 10, 60), 120, 100),
        ((110, 20, 120, 60), 120, 100),
        ((30, 0, 90, 10), 120, 100),
        ((30, 90, 90, 100), 120, 100),
        ((5, 40, 115, 60), 120, 100),
        ((5, 10, 65, 130), 70, 140),
        ((10, 10, 30, 30), 120, 100),
        ((0, 0, 120, 100), 120, 100),
        ((10, 10, 31, 24), 120, 100),
        ((10, 10, 24, 31), 120, 100),
    ]
    for _ in range(10):
        width, height = draw.integers(2, 40, 160)
        cases.append((draw.box(width, height), width, height))
    compare(
        square_box,
        _square,
        cases,
        [
            (
                "It leaves the image: shift it back inside.",
                lambda *a: _square(*a, shift=False, clip=False),
            ),
            (
                "A side is too short: shift the box back inside, don't clip it (unless it is "
                "larger than the image).",
                _cut_off,
            ),
            (
                "A box larger than the image must be cut to the image.",
                lambda *a: _square(*a, clip=False),
            ),
            (
                "Only the direction in which the box is larger than the image is cut; the other "
                "keeps its side.",
                lambda b, w, h: _square(b, w, h, lambda *sides: min(max(sides), w, h)),
            ),
            (
                "Grow the shorter side; you shrink the longer one.",
                lambda *a: _square(*a, largest=min),
            ),
            ("Keep the centre of the box where it was.", _from_corner),
            (
                "Width limits x, height limits y; yours is the other way round.",
                lambda b, w, h: _square(b, h, w),
            ),
            ("The box came back as it was.", lambda b, w, h: b),
            (
                "The box is cut to the image, but where it fits it must be shifted inside as well.",
                lambda *a: _square(*a, shift=False),
            ),
            (
                "Return corners; the last two numbers are no width and height.",
                lambda *a: (
                    (s := _square(*a))[0],
                    s[1],
                    s[2] - s[0],
                    s[3] - s[1],
                ),
            ),
            (
                "Don't round: half a pixel is half a pixel.",
                lambda *a: [int(v) for v in _square(*a)],
            ),
        ],
        describe=lambda b, w, h: f"square_box({b}, width={w}, height={h})",
        form="four numbers (x0, y0, x1, y1)",
        hint="The side is the longer one; along each direction, place it around the same centre, "
        "shift it inside 0 .. limit, and cut it only if it is longer than the limit.",
        tolerance=1e-6,
    )


def _component(mask, row, column, structure=1, empty=True):
    labels = label(mask, structure=np.ones((3, 3)) if structure else None)[0]
    found = labels == labels[row, column]
    return found & mask if empty else found  # a start outside the mask is of the background


def _wrapping(mask, row, column):
    found, waiting = np.zeros_like(mask), [(row, column)]
    height, width = mask.shape
    while waiting:
        r, c = waiting.pop()
        if -height <= r < height and -width <= c < width and mask[r, c] and not found[r, c]:
            found[r, c] = True
            waiting += [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return found


def _steps(mask, row, column, steps):
    found = np.zeros_like(mask)
    found[row, column] = mask[row, column]
    for _ in range(steps):
        found = ndimage.binary_dilation(found, np.ones((3, 3))) & mask
    return found


def _one_pass(mask, row, column):
    """One sweep over all cells, row by row."""
    found = np.zeros_like(mask)
    found[row, column] = mask[row, column]
    for r in range(mask.shape[0]):
        for c in range(mask.shape[1]):
            near = found[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
            found[r, c] |= mask[r, c] and near.any()
    return found


@exercise("Exercise 11.3", answer="component", points=2)
def check_flood(component):
    """Random masks of several sizes, diagonals, borders that must not wrap around, a long snake,
    and starts outside the mask.
    """
    snake = np.zeros((12, 9), bool)
    for i in range(0, 12, 2):
        snake[i] = True
        snake[i + 1, -1 if i % 4 == 0 else 0] = True
    ends = np.zeros((4, 6), bool)
    ends[:, 0] = ends[:, -1] = True
    lids = ends.T.copy()
    ladder = np.eye(7, dtype=bool)[::-1] | np.eye(7, dtype=bool, k=5)
    masks = [np.eye(6, dtype=bool), ladder, ends, lids, snake, np.ones((5, 9), bool)]
    masks += [np.ones((60, 60), bool)]  # too large for recursion
    masks += list(draw.rng.random((6, 11, 8)) < 0.4) + list(draw.rng.random((3, 5, 13)) < 0.45)
    cases = []
    for mask in masks:
        inside, outside = np.argwhere(mask), np.argwhere(~mask)
        places = [inside[draw.integer(0, len(inside) - 1)], inside[0]]
        if len(outside):
            places.append(outside[draw.integer(0, len(outside) - 1)])
        cases += [(mask, int(r), int(c)) for r, c in places]
    hole = np.ones((3, 3), bool)
    hole[1, 1] = False
    cases += [(hole, 1, 1), (np.zeros((2, 3), bool), 0, 0)]
    with without("scipy.ndimage.label"):
        compare(
            component,
            _component,
            cases,
            [
                (
                    "Cells that share only a corner belong together too: 8 neighbours.",
                    lambda *a: _component(*a, structure=0),
                ),
                (
                    "The start is not in the mask, so nothing is.",
                    lambda *a: _component(*a, empty=False),
                ),
                ("This is the whole mask, other components included.", lambda m, r, c: m),
                (
                    "It wraps around: index -1 is the far side of the array.",
                    _wrapping,
                ),
                (
                    "It stops too early: neighbours of neighbours belong to it as well.",
                    lambda *a: _steps(*a, 1),
                ),
                ("This is the start alone.", lambda *a: _steps(*a, 0)),
                (
                    "One sweep is not enough: a component may lead upwards and to the left again.",
                    _one_pass,
                ),
                (
                    "Yours is the opposite: True inside the component.",
                    lambda *a: ~_component(*a),
                ),
                (
                    "This is the largest component; that of the start is asked for.",
                    lambda m, r, c: (
                        (labels := label(m, structure=np.ones((3, 3)))[0])
                        == np.bincount(labels.ravel())[1:].argmax() + 1
                    ),
                ),
                (
                    "Cells outside the mask were taken: the neighbours must be True as well.",
                    lambda *a: ndimage.binary_dilation(_component(*a), np.ones((3, 3))),
                ),
                (
                    "Row and column of the start are exchanged.",
                    lambda m, r, c: _component(m, c, r),
                ),
            ],
            describe=lambda m, r, c: (
                f"mask of {m.shape[0]} x {m.shape[1]} with {int(m.sum())} cells, start ({r}, {c})"
            ),
            form="a boolean array (H, W)",
            hint="Begin with the start if it is True; add every True neighbour, also diagonally, "
            "of a cell that you have, until nothing is added. Stay inside the array.",
            say=_cells,
        )


def _cells(expected, got):
    if getattr(got, "shape", None) != expected.shape:
        return f"expected an array of shape {expected.shape}, got {getattr(got, 'shape', 'none')}"
    wrong = np.argwhere(got != expected)[0]
    return (
        f"expected {int(expected.sum())} cells, got {int((got != 0).sum())}; the first that "
        f"differs is in row {wrong[0]}, column {wrong[1]}"
    )
