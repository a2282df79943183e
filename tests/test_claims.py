"""What the texts claim follows from the stored results, with seeds and images drawn anew."""

from dataclasses import replace

import numpy as np
import pytest

from mgff_tutorial.experiments.claims import claims_table, outcomes, read_claims
from mgff_tutorial.experiments.intervals import holm, paired_bootstrap, resampled_difference
from mgff_tutorial.experiments.results import Results
from mgff_tutorial.support.errors import DataError, InputError
from mgff_tutorial.support.paths import PACKAGE, results_dir


@pytest.fixture(scope="module")
def found():
    return outcomes(results_dir())


def test_every_claim_follows_from_the_stored_results(found):
    assert len(found) >= 20
    for outcome in found:
        assert outcome.holds, (outcome.claim, outcome.says, outcome.estimate, outcome.p)
    assert {outcome.says for outcome in found} == {"gain", "loss", "lead", "lag", "open"}


def test_every_claim_stands_where_its_quote_says(found):
    for outcome in found:
        assert outcome.claim.quotes
        for page, quote in outcome.claim.quotes.items():
            text = " ".join((PACKAGE.parent / page).read_text(encoding="utf-8").split())
            assert quote in text.replace("**", ""), (page, quote)


def test_a_claim_fails_where_sentence_and_number_part(found):
    outcome = next(one for one in found if one.claim.below)
    for changes in (
        {"points": outcome.claim.points + 0.1},
        {"says": "gain"},
        {"below": outcome.estimate.mean * 100},
    ):
        assert not replace(outcome, claim=replace(outcome.claim, **changes)).holds


def test_files_that_differ_in_sign_leave_a_claim_open(tmp_path):
    truth = np.zeros(300, np.uint8)
    for name, right in (("one", 300), ("two", 297), ("three", 280)):
        results = Results(tmp_path, name, "the command")
        first, second = (np.arange(300) >= n for n in (right, 290))
        rows = [
            dict(configuration=c, split="test", metric="accuracy", value=(p == 0).mean(), n=300)
            for c, p in (("a", first), ("b", second))
        ]
        predictions = {"a/0/test": first, "b/0/test": second, "labels/test": truth}
        results.add(rows, {key: value.astype(np.uint8) for key, value in predictions.items()})
    claim = "- {says: open, named: true, results: [%s], first: a, second: b}\n"
    for names, said in (("one, two", "gain"), ("one, three", "open"), ("three", "loss")):
        (tmp_path / "claims.yaml").write_text(claim % names)
        assert outcomes(tmp_path)[0].says == said


def test_holm_by_hand():
    assert np.allclose(holm([0.01, 0.04, 0.03, 0.2]), [0.04, 0.09, 0.09, 0.2])
    assert np.allclose(holm([0.9, 0.8]), [1.0, 1.0])


def test_seeds_and_images_are_drawn_anew():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 20)
    first, second = generator.random((2, 5, 200)) < np.array([[[0.8]], [[0.7]]])
    both = paired_bootstrap(first, second)
    difference = first.astype(float) - second
    estimate, p = resampled_difference([(difference, labels)])
    assert np.allclose(
        [estimate.mean, estimate.low, estimate.high], [both.mean, both.low, both.high], atol=0.01
    )
    assert (p < 0.05) == (estimate.low > 0)
    # One class carries it all: whether it is drawn decides.
    carried = np.where(labels == 0, 1.0, 0.0) * np.ones((5, 1))
    narrow, wide = (resampled_difference([(carried, labels)], by)[0] for by in (False, True))
    assert narrow.mean == wide.mean == pytest.approx(0.1) and wide.low == 0 < narrow.low
    # The same images twice are no new images; other images are.
    again = resampled_difference([(carried, labels)] * 2)[0]
    other = resampled_difference([(carried, labels), (carried, labels[::-1].copy())])[0]
    assert (
        other.high - other.low < again.high - again.low == pytest.approx(narrow.high - narrow.low)
    )


def test_damaged_claims_are_one_sentence(tmp_path, capsys):
    from mgff_tutorial.__main__ import main

    file = tmp_path / "claims.yaml"
    for text in (None, "- {says: gain", "- {says: gain, bound: 3}", "7"):
        if text is not None:
            file.write_text(text)
        with pytest.raises(DataError, match="claims.yaml cannot be read as a list of claims"):
            read_claims(file)
    claim = "- {says: open, points: 0.0, results: [tiny], first: a, second: b, quotes: {}}"
    file.write_text(claim)
    with pytest.raises(DataError, match="tiny.npz lacks 'labels/test'"):
        outcomes(tmp_path)
    results, right = Results(tmp_path, "tiny", "the command"), np.array([0, 1, 1], np.uint8)
    rows = [
        dict(configuration=name, split="test", metric="accuracy", value=1.0, n=3) for name in "ab"
    ]
    results.add(rows[:1], {"a/0/test": right, "labels/test": right})
    with pytest.raises(
        InputError, match=r"b with seeds \[\] on test; a claim needs the same seeds"
    ):
        outcomes(tmp_path)
    results.add(rows[1:], {"b/0/test": right})
    assert "| a | b | tiny | images | +0.0 (+0.0 to +0.0) | 1.0000 | open |" in claims_table(
        tmp_path
    )
    assert main(["ablate", "--claims", "--out", str(tmp_path)]) == 0
    assert "| open |" in capsys.readouterr().out
    file.write_text(f"{claim}\n- {{says: planned, results: [later], first: a, second: b}}")
    assert len(outcomes(tmp_path)) == 1 and len(read_claims(file)) == 2
    file.write_text(claim.replace("0.0", "0.5"))
    assert "open, but the text says open, 0.5 points |" in claims_table(tmp_path)
