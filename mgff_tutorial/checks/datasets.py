"""Checks of the exercises of notebook 13: boxes, joined tables, a split that keeps groups together,
EXIF orientation.
"""

import numpy as np

from .cases import ask_without_trace, compare, draw, read
from .core import CheckFailed, exercise, expect


def _corners(boxes, minus=0):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - minus], 1)


@exercise("Exercise 13.1", answer="to_xyxy")
def check_xyxy(answer):
    """(N, 4) arrays of x, y, width, height -> x0, y0, x1, y1, for several N, none among them."""
    cases = [(np.array([[4.0, 3.0, 20.0, 12.0], [10.0, 0.0, 5.0, 50.0]]),), (np.zeros((0, 4)),)]
    cases += [(draw.rng.integers(0, 300, (n, 4)) / 2.0,) for n in (1, 4, 7)]
    compare(
        answer,
        _corners,
        cases,
        [
            (
                "The boxes came back unchanged; their last two numbers are width and height.",
                lambda b: b,
            ),
            (
                "You subtracted 1: here x1 is the edge behind the last pixel, so x1 - x0 must be "
                "the width.",
                lambda b: _corners(b, 1),
            ),
            (
                "The order is x0, y0, x1, y1, not x0, x1, y0, y1.",
                lambda b: _corners(b)[:, [0, 2, 1, 3]],
            ),
            (
                "Width belongs to x and height to y; yours are exchanged.",
                lambda b: _corners(b[:, [0, 1, 3, 2]]),
            ),
            (
                "The last two numbers in the file are width and height, no corner: add them, don't "
                "subtract.",
                lambda b: np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], 1),
            ),
            (
                "x, y is the upper left corner, not the centre.",
                lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1),
            ),
            ("Every box is turned, not the first alone.", lambda b: _corners(b)[:1]),
            (
                "x1 = x0 + width: each corner from its own box and direction.",
                lambda b: np.concatenate([b[:, :2], b[:, [1, 0]] + b[:, 2:]], 1),
            ),
        ],
        describe=lambda b: f"{len(b)} boxes",
        form="an (N, 4) array",
        hint="x0 and y0 stay; x1 = x0 + width, y1 = y0 + height.",
    )


def _joined(images, class_ids, classes, key=int, among=None, sort=None):
    order = sorted(classes, key=key) if among is None else among(images, class_ids, classes)
    rows = images.items() if sort is None else sorted(images.items(), key=sort)
    return [(path, order.index(class_ids[i])) for i, path in rows]


@exercise("Exercise 13.2", answer="join")
def check_join(answer):
    """Ids that are not in order, of several lengths; labels of more images than there are; classes
    without an image.
    """
    cases = []
    for count, kinds in ((4, 3), (9, 5), (1, 2)):
        image_ids = [str(v) for v in draw.integers(count + 2, 5, 5000)]
        numbers = [9, *draw.integers(kinds, 10, 300)]
        class_of = [str(numbers[draw.integer(1, kinds)]) for _ in image_ids]
        images = {i: f"{c}/{i}.jpg" for i, c in zip(image_ids[:count], class_of)}
        pairs = draw.shuffled(list(zip(image_ids, class_of)))
        names = draw.shuffled([str(v) for v in numbers])
        cases.append((images, dict(pairs), {k: f"{draw.integer(10, 99)}.Bird" for k in names}))
    fixed = {"5001": "b/1.jpg", "5002": "a/2.jpg", "5003": "c/3.jpg", "5004": "a/4.jpg"}
    of = {"5004": "95", "5003": "101", "5002": "95", "5001": "100", "9999": "95"}
    cases.append((fixed, of, {"100": "100.Coot", "95": "095.Auk", "101": "101.Dipper"}))

    compare(
        answer,
        _joined,
        cases,
        [
            (
                "You took class_id - 1. Ids may start anywhere; a model of 3 classes needs labels "
                "0, 1, 2.",
                lambda i, c, k: [(p, int(c[n]) - 1) for n, p in i.items()],
            ),
            (
                "You took the class id itself; a label is its place among the sorted ids.",
                lambda i, c, k: [(p, int(c[n])) for n, p in i.items()],
            ),
            (
                "You sorted the ids as text: '100' comes before '95'. Sort them as numbers.",
                lambda *a: _joined(*a, key=str),
            ),
            (
                "You numbered the classes in the order in which they are met; another split would "
                "get other labels.",
                lambda *a: _joined(*a, among=lambda i, c, k: list(dict.fromkeys(c[n] for n in i))),
            ),
            (
                "You numbered the classes in the order of their file; sort the ids as numbers.",
                lambda *a: _joined(*a, among=lambda i, c, k: list(k)),
            ),
            (
                "You numbered only the classes that have an image here; count all classes, or "
                "another split would get other labels.",
                lambda *a: _joined(*a, among=lambda i, c, k: sorted({c[n] for n in i}, key=int)),
            ),
            (
                "You paired the rows of two files by position. Join them by the image id.",
                lambda i, c, k: [
                    (p, sorted(k, key=int).index(v)) for p, v in zip(i.values(), c.values())
                ],
            ),
            (
                "Labels count from 0.",
                lambda *a: [(p, label + 1) for p, label in _joined(*a)],
            ),
            (
                "Keep the order of images; you sorted by path.",
                lambda *a: _joined(*a, sort=lambda row: row[1]),
            ),
            (
                "Keep the order of images; you sorted by id.",
                lambda *a: _joined(*a, sort=lambda row: int(row[0])),
            ),
            (
                "Path first, then label.",
                lambda *a: [row[::-1] for row in _joined(*a)],
            ),
            (
                "Only images of images.txt count; image_class_labels.txt may list more.",
                lambda i, c, k: [(i.get(n, ""), sorted(k, key=int).index(v)) for n, v in c.items()],
            ),
            (
                "The classes are sorted by their names; sort the ids as numbers.",
                lambda *a: _joined(*a, key=a[2].get),
            ),
            (
                "Return the label, a number, not the class's name.",
                lambda i, c, k: [(p, k[c[n]]) for n, p in i.items()],
            ),
        ],
        describe=lambda i, c, k: f"{len(i)} images of {len(k)} classes",
        form="a list of (path, label)",
        hint="Look up each image's class id by its image id; a label is the place of that id among "
        "all class ids, sorted as numbers. Keep the order of images.",
        integers=True,
    )


def expect_two_lists(result, count):
    """Two lists of positions that share nothing and hold each of ``count`` positions once.

    Returns:
        The two lists, as Python ints.
    """
    try:
        first, second = result
        first, second = ([int(v) for v in np.ravel(read(list(one)))] for one in (first, second))
    except (TypeError, ValueError):
        raise CheckFailed(
            "expected two lists of positions: what is left for training, and the validation images."
        ) from None
    doubles = sorted({*first} & {*second})
    expect(
        not doubles,
        f"image {doubles[:1]} is in both lists: what chooses must not have been trained on.",
    )
    both = sorted(first + second)
    expect(len({*both}) == len(both), "a position comes twice in one list.")
    missing = sorted({*range(count)} - {*both})
    expect(not missing, f"image {missing[:1]} is in neither list.")
    expect(
        both == list(range(count)),
        f"the positions run from 0 to {count - 1}, got {both[0]} to {both[-1]}.",
    )
    expect(
        first == sorted(first) and second == sorted(second),
        "both lists must be sorted.",
    )
    return first, second


def expect_seeded(split, *arguments):
    """The same seed gives the same split, other seeds give others.

    Args:
        split: called with ``*arguments, seed``; gives the validation positions.

    Returns:
        The validation positions for each of 60 seeds.
    """
    drawn = [tuple(split(*arguments, seed)) for seed in range(60)]
    expect(
        all(tuple(split(*arguments, seed)) == drawn[seed] for seed in range(5)),
        "the same seed gave another split: draw from a generator seeded with `seed`.",
    )
    expect(
        len({*drawn}) > 1,
        "60 seeds gave the same split: is the seed used, and is there a shuffle?",
    )
    return drawn


@exercise("Exercise 13.3", answer="split_by_group", points=2)
def check_split_by_group(answer):
    """Groups of several sizes in mixed order: whole, enough, not too many, drawn by the seed."""

    def split(groups, fraction, seed):
        got = ask_without_trace(answer, list(groups), fraction, seed)
        rest, held = expect_two_lists(got, len(groups))
        torn = sorted({groups[i] for i in rest} & {groups[i] for i in held})
        expect(
            not torn,
            f"pictures of {torn[:1]} are in both lists; a group must stay together, or the model "
            "has seen the bird that it is tested on.",
        )
        wanted = fraction * len(groups)
        what = f"{len(groups)} pictures, fraction {fraction:.2f}: {len(held)} in validation"
        expect(
            len(held) >= wanted - 1e-9,
            f"{what}, expected at least {wanted:.1f}; take groups until there are enough.",
        )
        sizes = [sum(groups[i] == g for i in held) for g in {groups[i] for i in held}]
        expect(
            any(len(held) - size < wanted - 1e-9 for size in sizes),
            f"{what}, more than are needed: without its largest group there would still be "
            f"{wanted:.1f}. Stop as soon as there are enough.",
        )
        return held

    for sizes in ((3, 1, 4, 2, 5, 1), (2,) * 10, tuple(draw.integer(1, 6) for _ in range(9))):
        names = [f"{chr(97 + draw.integer(0, 25))}{i}" for i in range(len(sizes))]
        groups = draw.shuffled([g for g, size in zip(names, sizes) for _ in range(size)])
        for fraction in (0.2, 0.5, draw.integer(10, 60) / 100):
            split(groups, fraction, draw.integer(0, 999))
        drawn = expect_seeded(split, groups, 0.3)
        never = [g for g in names if not any(groups[i] == g for held in drawn for i in held)]
        expect(
            not never,
            f"group {never[:1]} was never in validation with 60 seeds: shuffle all groups.",
        )
        always = [g for g in names if all(any(groups[i] == g for i in held) for held in drawn)]
        expect(
            not always,
            f"group {always[:1]} was in validation with each of 60 seeds: shuffle the groups, and "
            "take them in that order, whatever their size.",
        )


def _turned(box, size, orientation, moves=None):
    (x0, y0, x1, y1), (width, height) = box, size
    move = {
        1: lambda x, y: (x, y),
        3: lambda x, y: (width - x, height - y),
        6: lambda x, y: (height - y, x),
        8: lambda x, y: (y, width - x),
        **(moves(width, height) if moves else {}),
    }[orientation]
    (ax, ay), (bx, by) = move(x0, y0), move(x1, y1)
    return ax, ay, bx, by


def _upright(*arguments, **rules):
    ax, ay, bx, by = _turned(*arguments, **rules)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


@exercise("Exercise 13.4", answer="turn_box", points=4)
def check_upright_box(answer):
    """Boxes of pictures that are wide, tall and square, for orientations 1, 3, 6 and 8."""
    cases = []
    for size in ((40, 30), (30, 50), (25, 25), tuple(draw.integers(2, 20, 90))):
        boxes = [(5.0, 3.0, 15.0, 11.0), (0, 0, *size), draw.box(*size)]
        cases += [(box, size, o) for box in boxes for o in draw.shuffled([1, 3, 6, 8])]
    other = {6: 8, 8: 6}
    compare(
        answer,
        _upright,
        cases,
        [
            (
                "That is the turn the other way round: 6 turns the stored picture clockwise, 8 "
                "counter-clockwise.",
                lambda b, s, o: _upright(b, s, other.get(o, o)),
            ),
            (
                "x0 must be the smaller x and y0 the smaller y: a turn swaps which corner that is.",
                _turned,
            ),
            (
                "For 6 and 8, x and y are swapped but not turned: one of them runs backwards.",
                lambda *a: _upright(
                    *a, moves=lambda w, h: {6: lambda x, y: (y, x), 8: lambda x, y: (y, x)}
                ),
            ),
            (
                "size is that of the STORED picture: its width and height do not change places.",
                lambda b, s, o: _upright(b, s[::-1], o),
            ),
            (
                "For 6 and 8 you subtract from the wrong side: 6 gives (height - y, x), 8 gives "
                "(y, width - x).",
                lambda *a: _upright(
                    *a, moves=lambda w, h: {6: lambda x, y: (w - y, x), 8: lambda x, y: (y, h - x)}
                ),
            ),
            (
                "Orientation 3 is half a turn: x becomes width - x and y becomes height - y.",
                lambda *a: _upright(*a, moves=lambda w, h: {3: lambda x, y: (x, h - y)}),
            ),
            (
                "Orientation 3 is half a turn, no mirror: x becomes width - x and y becomes "
                "height - y.",
                lambda *a: _upright(*a, moves=lambda w, h: {3: lambda x, y: (w - x, y)}),
            ),
            (
                "A box ends at the edge behind its last pixel: no - 1.",
                lambda *a: _upright(
                    *a,
                    moves=lambda w, h: {
                        3: lambda x, y: (w - 1 - x, h - 1 - y),
                        6: lambda x, y: (h - 1 - y, x),
                        8: lambda x, y: (y, w - 1 - x),
                    },
                ),
            ),
            (
                "Orientations 3, 6 and 8 turn the picture, so the box must turn.",
                lambda b, s, o: b,
            ),
            (
                "For 6 and 8, x and y are not swapped.",
                lambda b, s, o: (
                    _upright(b, s, o)
                    if o in (1, 3)
                    else [_upright(b, s, o)[i] for i in (1, 0, 3, 2)]
                ),
            ),
        ],
        describe=lambda b, s, o: f"box {b} of a stored picture of {s[0]} x {s[1]}, orientation {o}",
        form="four numbers (x0, y0, x1, y1)",
        hint="Follow two opposite corners of the box through the turn, then sort x and y.",
    )
