"""Notebook 05: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch.nn.functional as F
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.granularities import check_align_weights, check_node_box, check_patch_conv

SOLUTIONS = solutions("05_granularities")


def test_solutions_are_correct(capsys):
    check_align_weights(SOLUTIONS["align_weights"])
    check_patch_conv(SOLUTIONS["patch_conv"])
    check_node_box(SOLUTIONS["node_box"])
    assert capsys.readouterr().out == "".join(f"Exercise 5.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_align_weights, check_patch_conv, check_node_box):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda c, d, r: c * d * r * r, "biases are missing"),
        (lambda c, d, r: c * d * r + d, "wide AND"),
        (lambda c, d, r: c * d * r * r + c, "OUTGOING"),
    ],
)
def test_wrong_counts(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_align_weights(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x, w, b: F.conv2d(x, w, stride=w.shape[-1]), "bias is missing"),
        (lambda x, w, b: F.conv2d(x, w.transpose(2, 3), b, stride=w.shape[-1]), "exchanged"),
        (lambda x, w, b: F.conv2d(x, w, b, stride=w.shape[-1]).flatten(2).mT, "a map is"),
        (lambda x, w, b: F.conv2d(x, w, b), "expected shape"),
    ],
)
def test_wrong_alignment(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_patch_conv(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda r, c, g, s: (
                r * s[0] / g[0],
                c * s[1] / g[1],
                (r + 1) * s[0] / g[0],
                (c + 1) * s[1] / g[1],
            ),
            "exchanged",
        ),
        (
            lambda r, c, g, s: (c * s[1] / g[1], r * s[0] / g[0], s[1] / g[1], s[0] / g[0]),
            "far corner",
        ),
        (lambda r, c, g, s: 5, "expected four numbers"),
    ],
)
def test_wrong_boxes(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_node_box(answer)
