"""Notebook 08: the solutions pass their checks, plausible wrong answers fail and are told what is
wrong with them.
"""

import pytest
import torch
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.graph import (
    _rows,
    _scale_links,
    check_adjacency,
    check_graph_conv,
    check_scale_adjacency,
    check_super_nodes,
)

SOLUTIONS = solutions("08_gcn_head")


def test_solutions_are_correct(capsys):
    check_adjacency(SOLUTIONS["adjacency"])
    check_graph_conv(SOLUTIONS["graph_conv"])
    check_super_nodes(SOLUTIONS["super_nodes"])
    check_scale_adjacency(SOLUTIONS["scale_adjacency"])
    assert capsys.readouterr().out == "".join(f"Exercise 8.{i}: correct.\n" for i in (1, 2, 3, 4))


def test_unanswered_is_no_failure(capsys):
    for check in (check_adjacency, check_graph_conv, check_super_nodes, check_scale_adjacency):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 4


def looped(links):
    return links + torch.eye(len(links))


def in_place(links):
    links.fill_diagonal_(1)
    return _rows(links)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda links: looped(links), "rows do not sum to 1"),
        (lambda links: links, "self-loops are missing"),
        (lambda links: links / links.sum(1, keepdim=True).clamp(min=1), "self-loops are missing"),
        (lambda links: looped(links) / looped(links).sum(0, keepdim=True), "transposed"),
        (lambda links: looped(links).softmax(1), "linked to every other"),
        (
            lambda links: (
                looped(links) / (looped(links).sum(1)[:, None] * looped(links).sum(0)[None]).sqrt()
            ),
            "Kipf",
        ),
        (lambda links: _rows(links + 2 * torch.eye(len(links))), "counts once"),
        (lambda links: torch.eye(len(links)), "link missing, such as from node 0 to node 1"),
        (in_place, "work on a copy"),
    ],
)
def test_wrong_adjacency(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_adjacency(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x, a, w: a.T @ x @ w, "transposed"),
        (lambda x, a, w: torch.relu(a @ x @ w), "No activation"),
        (lambda x, a, w: x @ w, "neighbours are not used"),
        (lambda x, a, w: a @ x, r"\(B, N, D\)"),
    ],
)
def test_wrong_graph_conv(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_graph_conv(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x, s: s.softmax(-1).mT @ x, "weighted SUMS"),
        (lambda x, s: s.softmax(-1).mT @ x / x.shape[1], "number of nodes"),
        (lambda x, s: s.softmax(1).mT @ x, "among SUPER-NODES"),
        (lambda x, s: s.mT @ x, "softmax is missing"),
    ],
)
def test_wrong_super_nodes(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_super_nodes(answer)


@pytest.mark.parametrize(
    "options, hint",
    [
        ({"wrap": True}, "last position of a row"),
        ({"diagonal": True}, "Diagonal"),
        ({"all_maps": True}, "next finer"),
        ({"loops": False}, "self-loops are missing"),
    ],
)
def test_wrong_links(options, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_scale_adjacency(
            lambda grid, granularities: _rows(_scale_links(grid, granularities, **options))
        )


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda grid, g: _scale_links(grid, g), "rows do not sum to 1"),
        (lambda grid, g: _rows(_scale_links(grid, g)).T, "transposed"),
        (lambda grid, g: torch.eye(3), "One row and one column"),
    ],
)
def test_wrong_shares(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_scale_adjacency(answer)
