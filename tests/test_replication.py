"""Photographs measured twice: what is chosen on the first classes, and what is only measured on the
second.
"""

import numpy as np
import pytest
from test_experiments import nano, study  # noqa: F401  (fixtures)

from mgff_tutorial.experiments import replication
from mgff_tutorial.experiments.frozen_heads import HeadRecipe
from mgff_tutorial.experiments.replication import RATES, bracketed, choose
from mgff_tutorial.experiments.results import Results
from mgff_tutorial.support.errors import InputError


@pytest.mark.parametrize("peak", RATES)
def test_a_rate_has_worse_ones_on_both_sides(peak):
    tried = []

    def best(trials):
        tried.extend(trial.new_lr for trial in trials)
        return min(trials, key=lambda trial: abs(np.log(trial.new_lr / peak)))

    found = bracketed(HeadRecipe(lr=0.5, new_lr=3e-3), "new_lr", best)
    assert (found.lr, found.new_lr) == (0.5, peak)
    place = RATES.index(peak)
    assert set(RATES[max(place - 1, 0) : place + 2]) <= set(tried)


def test_recipes_come_from_cross_validation_and_the_second_classes_choose_nothing(
    study,  # noqa: F811
    nano,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr(replication, "LENGTHS", (1, 2))
    monkeypatch.setattr(replication, "START", HeadRecipe(lr=3e-3, new_lr=3e-3, epochs=1))
    names = ["baseline", "mgff-to-the-letter"]
    again = Results(nano / "out", "looks-cub15-swin_nano", "the command")
    with pytest.raises(InputError, match="no recipe of baseline at hand: nothing is chosen"):
        replication.looks_again(study, again, range(1), names)
    assert not again.rows
    first = Results(nano / "out", "looks-cub20-swin_nano", "the command")
    replication.looks(study, first, range(1), names)
    trials = [row for row in first.rows if row.split == "three folds"]
    assert {row.n for row in trials} == {len(study.train)}
    assert {row.configuration for row in trials} == set(names)
    tests = [row for row in first.rows if (row.split, row.metric) == ("test", "accuracy")]
    assert len(tests) == 2 * 7 and "baseline/merged-central" in {r.configuration for r in tests}
    recipe = choose(study, first, "mgff-to-the-letter", replication._refuse)
    tried = {row.metric for row in trials if row.configuration == "mgff-to-the-letter"}
    place = RATES.index(recipe.lr)
    for lr in RATES[max(place - 1, 0) : place + 2]:  # the rate that was walked along last
        assert f"accuracy at {replication.replace(recipe, lr=lr)}" in tried
    # With the trials at hand the second classes are measured, and train nothing else.
    again.add([replication.replace(row, experiment=again.experiment) for row in trials])
    trained, seen = study.trained, []
    monkeypatch.setattr(study, "trained", lambda *args: seen.append(args[:3]) or trained(*args))
    replication.looks_again(study, again, range(2), names)
    assert sorted(name for name, *_ in seen) == sorted(2 * names)
    same = {row.key: row.value for row in first.rows if row.metric == "accuracy"}
    assert same.items() <= {row.key: row.value for row in again.rows}.items()
