"""Notebook 16: the solutions pass their checks, wrong answers fail with a hint, and the script in
the text is sound.
"""

import ast
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from exercises import solutions
from PIL import Image

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.own_data import check_confident, check_lazy_accuracy, check_leaks

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOLUTIONS = solutions("16_your_own_data")


def test_solutions_are_correct(capsys):
    check_lazy_accuracy(SOLUTIONS["lazy_accuracy"])
    check_confident(SOLUTIONS["confident"])
    check_leaks(SOLUTIONS["leaks"])
    assert capsys.readouterr().out == "".join(f"Exercise 16.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_lazy_accuracy, check_confident, check_leaks):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda train, test: max(test.count(k) for k in test) / len(test), "TEST set"),
        (lambda train, test: max(train.count(k) for k in train) / len(train), "training set"),
        (
            lambda train, test: (
                test.count(max(sorted(set(train), reverse=True), key=train.count)) / len(test)
            ),
            "smallest number",
        ),
        (lambda train, test: 1 / len(set(train)), "at random"),
    ],
)
def test_wrong_baselines(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_lazy_accuracy(answer)


def ranked(p, labels):
    order = p.max(1).values.argsort(descending=True)
    return p.max(1).values[order].tolist(), (p.argmax(1) == labels)[order].double()


def stops_at_first_failure(p, labels, wanted):
    highest, right = ranked(p, labels)
    best = 2.0
    for i, t in enumerate(highest):
        if right[: i + 1].mean() < wanted:
            break
        best = t
    return best


def largest(p, labels, wanted):
    highest, right = ranked(p, labels)
    return next((t for i, t in enumerate(highest) if right[: i + 1].mean() >= wanted), 2.0)


def strictly_above(p, labels, wanted):
    highest, right = p.max(1).values, p.argmax(1) == labels
    good = [
        t.item()
        for t in highest
        if (highest > t).any() and right[highest > t].double().mean() >= wanted
    ]
    return min(good, default=2.0)


def one_by_one(p, labels, wanted):
    highest, right = ranked(p, labels)
    good = [t for i, t in enumerate(highest) if right[: i + 1].mean() >= wanted]
    return min(good, default=2.0) if len(p) > 3 else 0.8


@pytest.mark.parametrize(
    "answer, hint",
    [
        (stops_at_first_failure, "first failure"),
        (largest, "largest such"),
        (strictly_above, "only .* of the answers"),
        (one_by_one, "answered together"),
        (lambda p, labels, wanted: p.max(1).values.min().item(), "only"),
        (lambda p, labels, wanted: wanted - 0.01, "one of the images"),
    ],
)
def test_wrong_thresholds(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_confident(answer)


def tiny(images, dtype=float):
    return [
        np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX)).astype(dtype)
        for image in images
    ]


def compare(train, test, distance, dtype=float, swap=False, limit=4.0):
    pairs = [
        (i, j)
        for i, a in enumerate(tiny(train, dtype))
        for j, b in enumerate(tiny(test, dtype))
        if distance(a, b) < limit
    ]
    return sorted((j, i) for i, j in pairs) if swap else sorted(pairs)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda a, b, limit: compare(a, b, lambda x, y: (x - y).mean(), limit=limit), "ABSOLUTE"),
        (
            lambda a, b, limit: compare(
                a, b, lambda x, y: np.abs(x - y).mean(), np.uint8, limit=limit
            ),
            "wrap around",
        ),
        (
            lambda a, b, limit: compare(
                a, b, lambda x, y: np.abs(x - y).mean(), swap=True, limit=limit
            ),
            "turned round",
        ),
        (
            lambda a, b, limit: [
                (i, j)
                for i, x in enumerate(a)
                for j, y in enumerate(b)
                if x.size == y.size and np.array_equal(np.asarray(x), np.asarray(y))
            ],
            "another size",
        ),
        (
            lambda a, b, limit: (
                compare(a, b, lambda x, y: np.abs(x - y).mean() - 1e-9, limit=limit + 1e-6)
                + [(9, 9)] * (limit == 0)
            ),
            "must be empty",
        ),
        (lambda a, b, limit: 3, "list of pairs"),
    ],
)
def test_wrong_leaks(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_leaks(answer)


def test_the_script_in_the_text_uses_names_that_exist():
    text = (NOTEBOOKS / "16_your_own_data.ipynb").read_text("utf-8")
    cells = [
        "".join(cell["source"])
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "markdown"
    ]
    script = next(
        re.search(r"```python\n(.*?)```", cell, re.S).group(1)
        for cell in cells
        if "```python" in cell
    )
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) <= 32
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)
    assert torch.export.export and torch.export.save
