"""Notebook 01: how it shows that two computations agree."""

import torch

from mgff_tutorial.checks.compare import show_gap


def test_gap_meter(capsys):
    a = torch.ones(2, 3)
    show_gap("same", a, a.clone())
    show_gap("far", [a, a], [a, a + 1])
    show_gap("shape", a, a.T)
    assert capsys.readouterr().out.splitlines() == [
        "same: agrees within 1e-5; largest value 1",
        "far: differs by up to 1; largest value 2",
        "shape: shapes differ, (2, 3) and (3, 2)",
    ]
