"""Solutions of notebook 13 pass their checks; plausible wrong answers fail with a hint that fits
the mistake.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mgff_tutorial.checks import datasets as checks
from mgff_tutorial.checks.core import CheckFailed

PATH = Path(__file__).parents[1] / "notebooks" / "solutions" / "solutions_13_datasets.py"
spec = importlib.util.spec_from_file_location("solutions_13_datasets", PATH)
solutions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(solutions)

EXERCISES = [
    (checks.check_xyxy, solutions.to_xyxy),
    (checks.check_join, solutions.join),
    (checks.check_split, solutions.split),
    (checks.check_upright_box, solutions.turn_box),
]


@pytest.mark.parametrize("number", range(4))
def test_solutions(number, capsys):
    check, solution = EXERCISES[number]
    check(solution)
    assert capsys.readouterr().out == f"Exercise 13.{number + 1}: correct.\n"
    for unanswered in (None, ..., lambda *args: None):
        check(unanswered)
        assert "not answered yet" in capsys.readouterr().out


def in_place(boxes):
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def wrong_order(boxes):
    return solutions.to_xyxy(boxes)[:, [0, 2, 1, 3]]


def by_position(images, class_ids, classes):
    order = sorted(classes, key=int)
    return [(path, order.index(c)) for path, c in zip(images.values(), class_ids.values())]


def minus_one(images, class_ids, classes):
    return [(path, int(class_ids[i]) - 1) for i, path in images.items()]


def as_text(images, class_ids, classes):
    order = sorted(classes)
    return [(path, order.index(class_ids[i])) for i, path in images.items()]


def as_met(images, class_ids, classes):
    order = list(dict.fromkeys(class_ids[i] for i in images))
    return [(path, order.index(class_ids[i])) for i, path in images.items()]


def all_rows(images, class_ids, classes):
    order = sorted(classes, key=int)
    return [(images.get(i, ""), order.index(c)) for i, c in class_ids.items()]


def whole_list(labels, fraction, seed):
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    cut = round(len(labels) * fraction)
    return order[cut:], order[:cut]


def first_ones(labels, fraction, seed):
    return solutions.split(labels, fraction, 0)


def overlapping(labels, fraction, seed):
    rest, validation = solutions.split(labels, fraction, seed)
    return list(range(len(labels))), validation


def unseeded(labels, fraction, seed):
    return solutions.split(labels, fraction, np.random.default_rng().integers(1 << 30))


def no_minimum(labels, fraction, seed):
    rest, validation = solutions.split(labels, fraction, seed)
    return sorted(rest + [i for i in validation if labels[i] == 2]), [
        i for i in validation if labels[i] != 2
    ]


def other_way(box, size, orientation):
    return solutions.turn_box(box, size, {6: 8, 8: 6}.get(orientation, orientation))


def unsorted_corners(box, size, orientation):
    (x0, y0, x1, y1), (width, height) = box, size
    return {1: box, 3: (width - x0, height - y0, width - x1, height - y1)}.get(orientation, box)


def only_swapped(box, size, orientation):
    x0, y0, x1, y1 = box
    return (y0, x0, y1, x1) if orientation in (6, 8) else solutions.turn_box(box, size, orientation)


@pytest.mark.parametrize(
    "check,wrong,words",
    [
        (checks.check_xyxy, lambda boxes: boxes.copy(), "width and height, not a corner"),
        (checks.check_xyxy, lambda boxes: solutions.to_xyxy(boxes) - [0, 0, 1, 1], "subtracted 1"),
        (checks.check_xyxy, in_place, "work on a copy"),
        (checks.check_xyxy, wrong_order, "not x0, x1, y0, y1"),
        (checks.check_xyxy, lambda boxes: boxes[0], "shape"),
        (checks.check_join, by_position, "by position"),
        (checks.check_join, minus_one, "class_id - 1"),
        (checks.check_join, as_text, "as text"),
        (checks.check_join, as_met, "in the order in which they are met"),
        (checks.check_join, all_rows, "may list more"),
        (checks.check_split, whole_list, "each class by itself"),
        (checks.check_split, first_ones, "seed 1 gave the same"),
        (checks.check_split, overlapping, "in both lists"),
        (checks.check_split, unseeded, "another split"),
        (checks.check_split, no_minimum, "must give 1 and keep 1"),
        (checks.check_split, lambda labels, fraction, seed: list(range(52)), "two lists"),
        (checks.check_upright_box, other_way, "other way round"),
        (checks.check_upright_box, unsorted_corners, "smaller x"),
        (checks.check_upright_box, only_swapped, "orientation 6"),
        (checks.check_upright_box, lambda box, size, orientation: box, "half a turn"),
    ],
)
def test_wrong_answers(check, wrong, words):
    with pytest.raises(CheckFailed, match="Exercise 13"):
        check(wrong)
    try:
        check(wrong)
    except CheckFailed as failure:
        assert words in str(failure)
