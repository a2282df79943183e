"""Checks of the exercises of notebook 13: boxes, joined tables, stratified splits, EXIF
orientation.
"""

import numpy as np

from .core import ask, exercise, expect, expect_close, expect_equal


@exercise("Exercise 13.1", answer="to_xyxy")
def check_xyxy(answer):
    """``answer(boxes)``: (N, 4) array of x, y, width, height -> (N, 4) array of x0, y0, x1, y1."""
    boxes = np.array([[4.0, 3.0, 20.0, 12.0], [10.0, 0.0, 5.0, 50.0]])
    given = boxes.copy()
    got = np.asarray(ask(answer, boxes), dtype=float)
    expect_equal("shape of the result", got.shape, (2, 4), "One row in, one row out.")
    expect(
        np.array_equal(boxes, given),
        "your function changed the array that it was given; work on a copy.",
    )
    hint = (
        "The last two numbers of a box in bounding_boxes.txt are its width and height, "
        "not a corner."
    )
    if np.allclose(got, given):
        expect(False, f"the boxes came back unchanged. {hint}")
    if np.allclose(
        got, given[:, [0, 1, 2, 3]] + np.pad(given[:, :2], ((0, 0), (2, 0))) - [0, 0, 1, 1]
    ):
        hint = (
            "You subtracted 1: here x1 is the edge behind the last pixel, so x1 - x0 must be "
            "the width."
        )
    if np.allclose(got[:, [0, 2, 1, 3]], given + np.pad(given[:, :2], ((0, 0), (2, 0)))):
        hint = "The order is x0, y0, x1, y1, not x0, x1, y0, y1."
    expect_close("boxes", got, given + np.pad(given[:, :2], ((0, 0), (2, 0))), hint=hint)


@exercise("Exercise 13.2", answer="join")
def check_join(answer):
    """``answer(images, class_ids, classes)`` with dicts of str -> list of (path, label), in the
    order of images.
    """
    images = {"5001": "b/1.jpg", "5002": "a/2.jpg", "5003": "c/3.jpg", "5004": "a/4.jpg"}
    class_ids = {"5004": "95", "5003": "101", "5002": "95", "5001": "100", "9999": "95"}
    classes = {"100": "100.Coot", "95": "095.Auk", "101": "101.Dipper"}
    expected = [("b/1.jpg", 1), ("a/2.jpg", 0), ("c/3.jpg", 2), ("a/4.jpg", 0)]
    got = ask(answer, dict(images), dict(class_ids), dict(classes))
    expect(
        isinstance(got, (list, tuple)),
        f"expected a list of (path, label), got {type(got).__name__}.",
    )
    expect_equal(
        "number of images",
        len(got),
        4,
        "Only images of images.txt count; image_class_labels.txt may list more.",
    )
    got = [tuple(row) for row in got]
    expect_equal(
        "paths", [row[0] for row in got], [row[0] for row in expected], "Keep the order of images."
    )
    labels, hint = (
        [row[1] for row in got],
        "A label is the place of its class id among the sorted ids.",
    )
    if labels == [95 - 1 if i == "95" else int(i) - 1 for i in ("100", "95", "101", "95")]:
        hint = (
            "You took class_id - 1. Ids may start anywhere; a model of 3 classes needs "
            "labels 0, 1, 2."
        )
    if labels == [0, 2, 1, 2]:
        hint = "You sorted the ids as text: '100' comes before '95'. Sort them as numbers."
    if labels == [0, 1, 2, 1]:
        hint = (
            "You numbered the classes in the order in which they are met; another split would "
            "get other labels."
        )
    if labels == [0, 2, 0, 1]:
        hint = "You paired the rows of two files by position. Join them by the image id."
    expect_equal("labels", labels, [row[1] for row in expected], hint)


@exercise("Exercise 13.3", answer="split", points=2)
def check_split(answer):
    """``answer(labels, fraction, seed)`` -> (rest, validation), lists of indices, the same share of
    each class.
    """
    labels = [0] * 20 + [1] * 10 + [2] * 2 + [0] * 20
    rest, validation = _pair(ask(answer, list(labels), 0.2, 0))
    both = sorted(rest + validation)
    doubles = sorted(set(rest) & set(validation))
    expect(
        not doubles,
        f"image {doubles[:1]} is in both lists: what chooses must not have been trained on.",
    )
    expect_equal(
        "images in both lists together",
        both,
        list(range(52)),
        "Every image is in exactly one list.",
    )
    counts = [sum(labels[i] == c for i in validation) for c in range(3)]
    hint = (
        "Take the share of each class by itself; a split of the whole list leaves small "
        "classes to chance."
    )
    expect_equal("validation images of the class with 40", counts[0], 8, hint)
    expect_equal("validation images of the class with 10", counts[1], 2, hint)
    expect(
        counts[2] == 1,
        f"the class with 2 images must give 1 and keep 1, but gave {counts[2]}: round(2 * "
        f"0.2) is 0, "
        "and a class that is never validated tells nothing.",
    )
    again = _pair(ask(answer, list(labels), 0.2, 0))
    expect(
        again == (rest, validation),
        "the same seed gave another split; draw from a generator seeded with `seed`.",
    )
    other = _pair(ask(answer, list(labels), 0.2, 1))
    expect(
        sorted(other[1]) != sorted(validation),
        "seed 1 gave the same images as seed 0; shuffle within each class.",
    )


@exercise("Exercise 13.4", answer="turn_box", points=4)
def check_upright_box(answer):
    """``answer(box, size, orientation)`` for orientations 1, 3, 6 and 8: box of the upright
    picture.
    """
    from ..support.images import upright_box

    size, box = (40, 30), (5.0, 3.0, 25.0, 11.0)
    for orientation in (1, 3, 6, 8):
        got = np.asarray(ask(answer, box, size, orientation), dtype=float)
        expect_equal(f"orientation {orientation}: shape", got.shape, (4,), "Return x0, y0, x1, y1.")
        expected = upright_box(box, size, orientation)
        hint = "Follow two opposite corners of the box through the turn."
        if got[0] > got[2] or got[1] > got[3]:
            hint = (
                "x0 must be the smaller x and y0 the smaller y: a turn swaps which corner that is."
            )
        elif orientation in (6, 8) and np.allclose(got, upright_box(box, size, 14 - orientation)):
            hint = (
                "That is the turn the other way round: 6 turns the stored picture clockwise, 8 "
                "counter-clockwise."
            )
        elif orientation in (6, 8) and np.allclose(got, np.asarray(expected)[[1, 0, 3, 2]]):
            hint = "x and y are swapped."
        elif orientation == 1:
            hint = "Orientation 1 leaves everything as it is."
        elif orientation == 3:
            hint = "Orientation 3 is half a turn: x becomes width - x and y becomes height - y."
        expect_close(f"orientation {orientation}: box", got, expected, hint=hint)


def _pair(result):
    expect(
        isinstance(result, (tuple, list)) and len(result) == 2,
        "expected two lists of indices: what is left for training, and the validation images.",
    )
    return [int(i) for i in result[0]], [int(i) for i in result[1]]
