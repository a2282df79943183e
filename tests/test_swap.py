"""Assignments that swap a part of the system: right parts in any style pass, plausible wrong ones
do not.
"""

import re

import pytest
import torch
from exercises import FOLDER
from torch import nn
from torch.nn import functional as F

from mgff_tutorial.commands.grade import _in_order
from mgff_tutorial.teaching import swap
from mgff_tutorial.teaching.grading import grade
from mgff_tutorial.teaching.submissions import find_submissions

SOURCE = (FOLDER / "swap.py").read_text("utf-8")
PARTS = {check.exercise.number: check for check in swap.CHECKS}

# assignment, what is wrong, and the solution's text before and after the change
WRONG = [
    ("1", "no image term", "+ self.alpha * torch.tanh(difference)", ""),
    ("1", "difference the other way", "torch.tanh(difference)", "torch.tanh(-difference)"),
    ("1", "transposed adjacency", "a @ self.weight", "a.mT @ self.weight"),
    ("1", "rows of a softmax", "a @ self.weight", "a.softmax(-1) @ self.weight"),
    ("1", "ReLU", "F.gelu(", "F.relu("),
    ("1", "no norm", "self.norm(a @ self.weight(x))", "a @ self.weight(x)"),
    ("1", "no residual", "return x + out if out.shape == x.shape else out", "return out"),
    ("1", "nodes keep their own", "a @ self.weight(x)", "self.weight(x)"),
    ("1", "no gradient for A", "a @ self.weight", "a.detach() @ self.weight"),
    ("1", "another name", "self.adjacency", "self.matrix"),
    (
        "1",
        "adjacency starts at 0",
        "(torch.eye(nodes) + 1 / nodes) / 2",
        "torch.zeros(nodes, nodes)",
    ),
    ("1", "alpha starts at 1", "torch.zeros(())", "torch.ones(())"),
    ("1", "a bias too many", "out_dim, bias=False", "out_dim"),
    ("2", "not divided by sqrt(d)", " / q.shape[-1] ** 0.5", ""),
    ("2", "divided by sqrt(C)", "q.shape[-1] ** 0.5", "x.shape[1] ** 0.5"),
    ("2", "no position bias", " + bias).softmax", ").softmax"),
    ("2", "bias transposed", "+ bias)", "+ bias.mT)"),
    ("2", "softmax over queries", "softmax(-1)\n", "softmax(-2)\n"),
    ("2", "no norm", "self.norm(x)", "x"),
    ("2", "no residual", "return x + out", "return out"),
    ("2", "rows and channels mixed", "out.transpose(1, 2).reshape", "out.reshape"),
    ("2", "heads before Q, K, V", "(3, self.heads, -1)", "(self.heads, 3, -1)).transpose(2, 3)#"),
    ("2", "residual of the norm", "return x + out", "return self.norm(x) + out"),
    ("2", "V does not start at 0", "nn.init.zeros_(self.qkv.weight[2 * dim :])", "pass"),
    ("2", "no gradient for the bias", "self.index].permute", "self.index].detach().permute"),
    (
        "3",
        "no clipping",
        "return torch.minimum(",
        "return weights  # torch.minimum(",
    ),
    (
        "3",
        "one limit for the batch",
        "weights.quantile(0.95, dim=1, keepdim=True)",
        "weights.quantile(0.95)",
    ),
    ("3", "another quantile", "0.95", "0.9"),
    ("3", "attention of the patches", "m[:, :, 0, prefix:]", "m[:, :, prefix:, prefix:].mean(2)"),
    ("3", "the class token's column", "m[:, :, 0, prefix:]", "m[:, :, prefix:, 0]"),
    ("3", "sum over layers", "rows.mean(dim=(0, 2))", "rows.sum(0).mean(1)"),
    ("3", "the strongest head", "rows.mean(dim=(0, 2))", "rows.mean(0).amax(1)"),
    ("3", "the last layer alone", "for m in matrices]", "for m in matrices[-1:]]"),
    ("3", "prefix taken for 1", "0, prefix:]", "0, 1:]"),
    ("3", "no gradient", "for m in matrices]", "for m in map(torch.detach, matrices)]"),
    ("4", "mean of probabilities", "mixed = ", "mixed = (1 - weight) * stage1 + weight * stage2 #"),
    ("4", "not normalised", " / mixed.sum(dim=1, keepdim=True)", ""),
    ("4", "normalised over pictures", "dim=1", "dim=0"),
    (
        "4",
        "weight the other way",
        "stage1 ** (1 - weight) * stage2**weight",
        "stage1**weight * stage2 ** (1 - weight)",
    ),
    ("4", "weight left out", "stage1 ** (1 - weight) * stage2**weight", "stage1 * stage2"),
    ("4", "first look alone", "mixed = ", "mixed = stage1 #"),
    ("4", "softmax of logs over pictures", "return mixed /", "return mixed.log().softmax(0) #"),
    (
        "4",
        "a generous epsilon",
        "mixed = ",
        "stage1, stage2 = stage1 + 1e-3, stage2 + 1e-3\n    mixed = ",
    ),
    ("4", "no gradient", "return mixed", "mixed = mixed.detach()\n    return mixed"),
    (
        "4",
        "0 * log(0)",
        "if weight in (0, 1):\n        return stage2 if weight else stage1\n    mixed = ",
        "mixed = ((1 - weight) * stage1.log() + weight * stage2.log()).exp() #",
    ),
]


def load(source, check):
    space = {"__name__": "student"}
    exec(compile(source, "<student>", "exec"), space)
    return space[check.exercise.answer]


def wrong(before, after):
    assert before in SOURCE
    return SOURCE.replace(before, after)


@pytest.mark.parametrize("number", [n for n in PARTS if not n.endswith("effect")])
def test_the_solutions_are_right_whatever_is_drawn(number):
    for seed in range(5):
        outcome = PARTS[number].judge(load(SOURCE, PARTS[number]), seed=seed)
        assert (outcome.result, outcome.hint) == ("correct", "")


@pytest.mark.parametrize("which, what, before, after", WRONG, ids=[f"{w[0]} {w[1]}" for w in WRONG])
def test_plausible_wrong_parts_are_refused(which, what, before, after):
    check = PARTS[f"swap.{which}"]
    outcome = check.judge(load(wrong(before, after), check), seed=0)
    assert outcome.result == "wrong" and "can't be compared" not in outcome.hint, outcome.hint


def graph_by_einsum(in_dim, out_dim, nodes):
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            for name, bound in (("query", 1), ("key", 1), ("weight", out_dim)):
                self.add_module(name, nn.Linear(in_dim, bound, bias=False))
            self.register_parameter("alpha", nn.Parameter(torch.tensor(0.0)))
            self.adjacency = nn.Parameter(torch.full((nodes, nodes), 0.5 / nodes))
            self.adjacency.data.fill_diagonal_(0.5 + 0.5 / nodes)
            self.norm = nn.LayerNorm(out_dim)

        def forward(self, x):
            own = torch.einsum("ij,bjc->bic", self.adjacency, x)
            gap = (self.query(x) - self.key(x).mT).tanh().double()
            own = own + self.alpha * torch.einsum("bij,bjc->bic", gap, x.double()).float()
            return (x if in_dim == out_dim else 0) + nn.GELU()(self.norm(self.weight(own)))

    return Graph()


class AttentionByLibrary(nn.Module):
    def __init__(self, dim, grid):
        super().__init__()
        self.dim, self.h, (self.rows, self.columns) = dim, dim // 64 or 1, grid
        self.norm, self.qkv = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim)
        with torch.no_grad():
            self.qkv.weight[2 * dim :], self.qkv.bias[:] = 0, 0
        count = (2 * self.rows - 1) * (2 * self.columns - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(count, self.h))

    def forward(self, x):
        tokens = self.norm(x.permute(0, 2, 3, 1)).reshape(len(x), -1, self.dim)
        q, k, v = (
            t.unflatten(2, (self.h, -1)).transpose(1, 2) for t in self.qkv(tokens).chunk(3, 2)
        )
        places = [(r, c) for r in range(self.rows) for c in range(self.columns)]
        table = self.relative_position_bias_table.T
        width = 2 * self.columns - 1
        index = [
            [(a - c + self.rows - 1) * width + b - d + self.columns - 1 for c, d in places]
            for a, b in places
        ]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=table[:, index])
        return x + out.transpose(2, 3).reshape(x.shape)


def rule_in_a_loop(matrices, prefix):
    total = 0
    for matrix in matrices:
        for head in matrix.unbind(1):
            total = total + head[:, 0, prefix:] / (len(matrices) * matrix.shape[1])
    return torch.stack([row.clamp(max=torch.quantile(row, 0.95)) for row in total])


def merge_by_logs(stage1, stage2, weight):
    logs = torch.special.xlogy(1 - weight, stage1) + torch.special.xlogy(weight, stage2)
    return logs.softmax(-1)


RIGHT = {"1": graph_by_einsum, "2": AttentionByLibrary, "3": rule_in_a_loop, "4": merge_by_logs}


@pytest.mark.parametrize("which", RIGHT)
def test_right_parts_in_another_style_pass(which):
    for number in (f"swap.{which}", f"swap.{which}.effect"):
        outcome = PARTS[number].judge(RIGHT[which], seed=3)
        assert (outcome.result, outcome.hint) == ("correct", "")


def test_effect_is_that_of_the_trained_system():
    """The same picture of a part that is wrong and one that is not: what the models say."""
    for which, before, after, words in (
        ("4", "mixed = ", "mixed = stage1 #", "85 are right, 92 with the packaged part"),
        ("1", "return x + out if out.shape == x.shape else out", "return -x", "of 100 pictures"),
        ("1", "self.adjacency", "self.matrix", "adjacency of shape (36, 36) is missing"),
        ("2", "return x + out", "return x[..., :1]", "feature map|expected|shape|error"),
    ):
        check = PARTS[f"swap.{which}.effect"]
        outcome = check.judge(load(wrong(before, after), check))
        assert outcome.result == "wrong"
        assert any(part in outcome.hint for part in words.split("|")), outcome.hint


def test_marks_by_the_command(tmp_path, one_nursery):
    """One run: the solutions, a part that is missing, one that is the packaged one."""
    (tmp_path / "ann.py").write_text(SOURCE, "utf-8")
    taken = "from mgff_tutorial.graph import GraphConv as _G\nclass GraphConv(_G): pass\n"
    (tmp_path / "ben_swap.py").write_text(
        taken + "def merge(a, b, weight): ...\nimport torch.nn as nn\n"
        "def response_rule(matrices, prefix): return matrices[0][:, 0, 0, prefix:]\n",
        "utf-8",
    )
    rows = grade([tmp_path], seed=1)
    marks = {
        s: [(r.exercise, r.outcome) for r in rows if r.submission == s] for s in ("ann", "ben_swap")
    }
    assert marks["ann"] == [(number, "correct") for number in PARTS]
    outcomes = ["error", "error", "not answered", "not answered", "wrong", "wrong"]
    assert [o for _, o in marks["ben_swap"]] == [*outcomes, "not answered", "not answered"]
    assert "can't be imported in a submission" in rows[8].message


def test_names_and_order(tmp_path):
    assert sorted(["swap.1.effect", "swap.2", "10.1", "2.3", "swap.1"], key=_in_order) == [
        *("2.3", "10.1", "swap.1", "swap.1.effect", "swap.2")
    ]
    (tmp_path / "work.py").write_text(SOURCE)
    (tmp_path / "swapped.py").write_text("x = 1")
    found = {s.name: s.sheet for s in find_submissions([tmp_path])}
    assert found == {"work": "swap", "swapped": None}


def test_the_page_tells_the_points_and_has_no_dead_links():
    page = (FOLDER.parent / "ASSIGNMENTS.md").read_text("utf-8")
    for which in "1234":
        own, effect = (PARTS[f"swap.{which}{end}"].exercise.points for end in ("", ".effect"))
        (row,) = re.findall(rf"^\| swap\.{which} .*$", page, re.MULTILINE)[:1]
        assert row.endswith(f"| {own} + {effect} |")
    for target in re.findall(r"\]\(([^):#]+)\)", page):
        assert (FOLDER.parent / target).is_file(), target
    for check in swap.CHECKS:
        assert re.search(rf"`{check.exercise.answer}[`(]", page)
