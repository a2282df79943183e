"""Notebook 11: the solutions pass their checks, plausible wrong answers fail with a hint."""

import numpy as np
import pytest
from exercises import solutions
from scipy import ndimage

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.cropper import check_flood, check_iou, check_square

SOLUTIONS = solutions("11_cropper")


def test_solutions_are_correct(capsys):
    check_iou(SOLUTIONS["iou"])
    check_square(SOLUTIONS["square_box"])
    check_flood(SOLUTIONS["component"])
    assert capsys.readouterr().out == "".join(f"Exercise 11.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_iou, check_square, check_flood):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


def sides(a, b, extra=0, clamp=True):
    out = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + extra for i in (0, 1)]
    return [max(0, v) for v in out] if clamp else out


def area(box, extra=0):
    return (box[2] - box[0] + extra) * (box[3] - box[1] + extra)


def plain(a, b, extra=0, clamp=True):
    w, h = sides(a, b, extra, clamp)
    return w * h / (area(a, extra) + area(b, extra) - w * h)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda a, b: plain(a, b, clamp=False), "clamp each side"),
        (lambda a, b: np.prod(sides(a, b)) / (area(a) + area(b)), "once"),
        (lambda a, b: np.prod(sides(a, b)) / min(area(a), area(b)), "not by the smaller"),
        (lambda a, b: plain(a, b, extra=1), "without \\+ 1"),
        (lambda a, b: (0.5, 0.5), "expected 1 number"),
    ],
)
def test_wrong_iou(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_iou(answer)


def centred(box, width, height):
    side = max(box[2] - box[0], box[3] - box[1]) / 2
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return x - side, y - side, x + side, y + side


def clipped(box, width, height):
    x0, y0, x1, y1 = centred(box, width, height)
    return max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (centred, "leaves the image"),
        (clipped, "don't clip"),
        (lambda box, w, h: box, "too short"),
        (lambda box, w, h: box[:2], "expected 4 numbers"),
    ],
)
def test_wrong_square(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_square(answer)


def labelled(mask, row, column, structure):
    labels = ndimage.label(mask, structure=structure)[0]
    return labels == labels[row, column]


def wrapping(mask, row, column):
    found, waiting = np.zeros_like(mask), [(row, column)]
    while waiting:
        r, c = waiting.pop()
        if abs(r) < mask.shape[0] and abs(c) < mask.shape[1] and mask[r, c] and not found[r, c]:
            found[r, c] = True
            waiting += [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return found


def one_step(mask, row, column):
    near = np.zeros_like(mask)
    near[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    return mask & near


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda m, r, c: labelled(m, r, c, None), "8 neighbours"),
        (lambda m, r, c: m, "other components"),
        (lambda m, r, c: labelled(m, r, c, np.ones((3, 3))), "The start is not in the mask"),
        (wrapping, "wraps around|other components"),
        (one_step, "stops too early"),
        (lambda m, r, c: m[0], "expected an array of shape"),
    ],
)
def test_wrong_component(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_flood(answer)
