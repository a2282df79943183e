"""Photographs measured twice: what is chosen on the first classes, and what is only measured on the
second.
"""

import numpy as np
import pytest
import torch
from test_experiments import nano, study  # noqa: F401  (fixtures)

from mgff_tutorial.experiments import probes, replication
from mgff_tutorial.experiments.frozen_heads import HeadRecipe
from mgff_tutorial.experiments.granularity_heads import OWN
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
    again = Results(nano / "out", "looks-cub15-swin_nano", "the command", chooses=False)
    with pytest.raises(InputError, match="no trials of baseline at .*nothing is chosen"):
        replication.looks(study, again, range(1), names)
    assert not again.rows
    first = Results(nano / "out", "looks-cub20-swin_nano", "the command")
    replication.looks(study, first, range(1), names)
    trials = [row for row in first.rows if row.split == "three folds"]
    assert {row.n for row in trials} == {len(study.train)}
    assert {row.configuration for row in trials} == set(names)
    tests = [row for row in first.rows if (row.split, row.metric) == ("test", "accuracy")]
    assert len(tests) == 2 * 7 and "baseline/merged-central" in {r.configuration for r in tests}
    recipe = choose(study, first, "mgff-to-the-letter")
    tried = {row.metric for row in trials if row.configuration == "mgff-to-the-letter"}
    place = RATES.index(recipe.lr)
    for lr in RATES[max(place - 1, 0) : place + 2]:  # the rate that was walked along last
        assert f"accuracy at {replication.replace(recipe, lr=lr)}" in tried
    # With the trials at hand the second classes are measured, and train nothing else.
    again.add([replication.replace(row, experiment=again.experiment) for row in trials])
    trained, seen = study.trained, []
    monkeypatch.setattr(study, "trained", lambda *args: seen.append(args[:3]) or trained(*args))
    replication.looks(study, again, range(2), names)
    assert sorted(name for name, *_ in seen) == sorted(2 * names)
    same = {row.key: row.value for row in first.rows if row.metric == "accuracy"}
    assert same.items() <= {row.key: row.value for row in again.rows}.items()


def test_every_granularity_answers_and_the_answers_are_averaged(study):  # noqa: F811
    maps = [m[:4].float() for m in study.view("test", "whole")["maps"]]
    pooled = study.view("test", "whole")["pooled"][:4]
    sizes = {"granularities-supervised": 5, "mgff-supervised": 4, "mgff-nonlinear": 1}
    for name, count in sizes.items():
        head = study.head(name, 0).eval()
        answers = head.answers(maps, pooled)
        assert [weight for weight, _ in answers] == [1.0] * (5 - 3 if count == 5 else 1) + [OWN] * (
            3 if count > 1 else 0
        )
        mean = torch.stack([logits.softmax(1) for _, logits in answers]).mean(0)
        assert torch.allclose(head(maps, pooled).softmax(1), mean, atol=1e-6)
        # Each answer but the plain one moves with the finest map it reads.
        other = [maps[0] + torch.randn_like(maps[0]), *maps[1:]]
        moved = [not torch.equal(a[1], b[1]) for a, b in zip(answers, head.answers(other, pooled))]
        assert moved == {5: [False, True, True, False, False], 4: [False, True, False, False]}.get(
            count, [False]
        )
        torch.nn.init.normal_(head.mgff.gate) if head.mgff else None
        if head.mgff:
            assert not torch.equal(
                head.answers(other, pooled)[0][1], head.answers(maps, pooled)[0][1]
            )


def test_a_probe_reads_what_a_granularity_holds(study, nano, monkeypatch):  # noqa: F811
    """The class is written into the finest map: its probe finds it, the others don't."""
    view, labels = study.view, np.array(study.train.labels)

    def marked(split, kind):
        found = view(split, kind)
        maps = [
            torch.zeros_like(m) if i == 0 else torch.randn(m.shape)
            for i, m in enumerate(found["maps"])
        ]
        maps[0][range(len(labels)), torch.tensor(labels)] += 5
        return {"maps": maps, "pooled": torch.randn(found["pooled"].shape)}

    monkeypatch.setattr(study, "view", marked)
    monkeypatch.setattr(probes, "START", HeadRecipe(lr=1e-2, epochs=60))
    results = Results(nano / "out", "probes-cub20-swin_nano", "the command")
    probes.probes(study, results, range(2), ["granularity-0", "granularity-1", "classifier"])
    right = {
        name: np.mean(
            [
                r.value
                for r in results.rows
                if r.key[::2] == (name, "test") and r.metric == "accuracy"
            ]
        )
        for name in ("granularity-0", "granularity-1", "classifier")
    }
    assert right["granularity-0"] == 1 > max(right["granularity-1"], right["classifier"])
    again = Results(nano / "out", "probes-cub15-swin_nano", "the command", chooses=False)
    with pytest.raises(InputError, match="no trials of granularity-0"):
        probes.probes(study, again, range(1), ["granularity-0"])
