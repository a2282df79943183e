"""What an experiment would still run, before it runs."""

import re

import numpy as np
import pytest
from test_experiments import nano, study  # noqa: F401  (fixtures)

from mgff_tutorial.__main__ import main
from mgff_tutorial.experiments.ablation import LENGTHS, TRIALS
from mgff_tutorial.experiments.plan import KINDS, plan, plan_table
from mgff_tutorial.experiments.registry import EXPERIMENTS
from mgff_tutorial.experiments.results import Results

NAMES = ["baseline", "mgff"]


def test_a_plan_counts_what_is_missing(study, nano):  # noqa: F811
    def lines():
        found = plan("fusion-sketchbirds", study.settings, 2, nano / "out", NAMES)
        return {one.what: one for one in found}

    first = lines()
    assert [(what, one.count) for what, one in first.items()] == [
        ("views through the frozen backbone", 6 * 4 + 6),
        ("baseline: choice of a recipe", 1),
        ("baseline: training", 2),
        ("mgff: choice of a recipe", 1),
        ("mgff: training", 2),
    ]
    assert {one.timed for one in first.values()} == {"a short timing"}
    assert all(one.seconds > 0 for one in first.values())
    # A plan has computed nothing; views that are computed are not planned again.
    study.view("train", "whole")
    assert lines()["views through the frozen backbone"].count == 6 * 3 + 6
    results = Results(nano / "out", "fusion-sketchbirds", "the command")
    row = dict(metric="accuracy", value=1.0, n=6)
    for name, seconds in (("baseline", 0.01), ("mgff", 0.03)):
        trial = dict(row, split="validation", metric=f"accuracy at {TRIALS['others'][0]}")
        results.add([dict(trial, configuration=name, seconds=seconds)])
    results.add([dict(row, configuration="mgff", seed=1, split="test", seconds=0.03)])
    found = lines()
    assert list(found) == [
        "views through the frozen backbone",
        "baseline: training",
        "mgff: training",
    ]
    training = found["mgff: training"]
    assert training.count == 1 and training.timed == "stored rows"
    # Six images, as many epochs as the longest trial has, three times a prediction of the head.
    assert training.seconds == pytest.approx(6 * LENGTHS[-1] * 3 * (0.03 - 0.01))
    for name in NAMES:
        for seed in range(2):
            if not results.has(name, seed):
                results.add([dict(row, configuration=name, seed=seed, split="test")])
    assert lines() == {} and plan_table([]) == "0.00 CPU hours on one thread"


def test_every_experiment_that_trains_has_a_plan():
    apart = ("localisation", "cost-cub20", "cost-sketchbirds")
    for name, one in EXPERIMENTS.items():
        assert one.parts or name in apart or one.run in KINDS, name
    # Sixteen settings of ten scenes per species with two looks; two of a hundred with one look.
    pictures = [KINDS[f"controlled:{kind}"].pictures for kind in ("controlled", "small_birds")]
    assert pictures == [2 * 16 * 10, 2 * 100]


def test_the_command_prints_the_plan_and_runs_nothing(study, nano, capsys):  # noqa: F811
    words = ["ablate", "--plan", "--out", str(nano / "out"), "--device", "cpu", "--seeds", "3"]
    words += ["--weights", study.settings.weights, "--vit-weights", study.settings.vit_weights]
    assert main([*words, "--experiment", "sketchbirds"]) == 0
    said = capsys.readouterr().out
    assert "| mgff: training | 3 |" in said and "| mgff: training | 6 |" in said
    minutes = [float(cell) for cell in re.findall(r"\| ([\d.]+) \| a short timing \|", said)]
    hours = [float(h) for h in re.findall(r"([\d.]+) CPU hours on one thread", said)]
    assert len(hours) == 2 and np.isclose(sum(minutes) / 60, sum(hours), atol=0.05)
    assert not (nano / "out").exists()
    assert main(["ablate", "--plan", "--experiment", "localisation"]) == 2
    assert "--plan is for experiments that train" in capsys.readouterr().err
