"""Calibration and familiarity: what a card says of how far its classifier can be believed."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from mgff_tutorial import create_model
from mgff_tutorial.evaluation.confidence import (
    Familiarity,
    calibrate,
    calibration_error,
    embeddings_of,
    fit_temperature,
    soften,
)
from mgff_tutorial.evaluation.metrics import Predictions


def overconfident(count=4000, factor=3.0, seed=0):
    """Labels drawn from softmax(z), and the probabilities softmax(factor * z)."""
    draw = np.random.default_rng(seed)
    z = torch.from_numpy(draw.normal(size=(count, 5)))
    cumulated = z.softmax(1).cumsum(1).numpy()
    labels = (draw.random((count, 1)) > cumulated).sum(1).clip(max=4)
    return (factor * z).softmax(1).float().numpy(), labels


def test_the_temperature_of_overconfident_logits_is_found():
    probabilities, labels = overconfident(factor=3.0)
    assert fit_temperature(probabilities, labels) == pytest.approx(3.0, rel=0.08)


def test_softening_divides_logits_and_keeps_the_order():
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    soft = soften(logits.softmax(1), 2.5)
    assert torch.allclose(soft, (logits / 2.5).softmax(1), atol=1e-6)
    assert torch.equal(soft.argsort(1), logits.argsort(1))
    assert soften(torch.tensor([1.0, 0.0]), 2.0).isfinite().all()


def test_calibration_error_by_hand():
    # two bins: 0.9 said, 1 of 2 right; 0.6 said, 1 of 1 right
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]
    assert calibration_error(probabilities, [0, 1, 0]) == pytest.approx((2 * 0.4 + 0.4) / 3)
    assert calibration_error(np.zeros((0, 2)), []) == 0


@pytest.mark.parametrize("apart", [False, True])
def test_calibration_is_measured_where_it_was_not_fitted(apart):
    found = Predictions(*overconfident(seed=1), [*"abcde"])
    other = Predictions(*overconfident(seed=2, count=1000), [*"abcde"]) if apart else None
    card = calibrate(found, other)
    assert card["error"] < 0.05 < 0.2 < card["error_before"]
    assert card["images"] == 4000 and card["count"] == (1000 if apart else 4000)
    json.dumps(card, allow_nan=False)


def test_one_held_out_image_is_enough_to_say_something():
    card = calibrate(Predictions([[0.7, 0.3]], [0], ["a", "b"]))
    assert 0.1 <= card["temperature"] <= 10 and 0 <= card["error"] <= 1


def plane(count, seed, noise=0.1):
    """Points near a plane in ten dimensions."""
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(count, 2)) @ np.eye(2, 10) * 3
    return torch.from_numpy(points + noise * draw.normal(size=(count, 10)))


def test_familiar_is_what_lies_where_the_training_lay():
    known = Familiarity.fit(plane(500, 0)).set_threshold(plane(400, 1))
    assert known.knows(plane(400, 2)).float().mean() == pytest.approx(0.95, abs=0.03)
    assert not known.knows(plane(100, 3, noise=3.0)).any()
    assert known.distance(plane(500, 0)).mean() == pytest.approx(1, abs=0.1)


def test_familiarity_survives_its_card():
    known = Familiarity.fit(plane(500, 0)).set_threshold(plane(400, 1))
    again = Familiarity.from_card(json.loads(json.dumps(known.as_card())))
    new = plane(50, 4)
    assert torch.allclose(again.distance(new), known.distance(new), rtol=1e-3)
    for broken in (None, {}, {"mean": "?"}, {**known.as_card(), "axes": "AAAA"}):
        assert Familiarity.from_card(broken) is None


def test_constant_embeddings_do_not_divide_by_zero():
    known = Familiarity.fit(torch.ones(5, 3)).set_threshold(torch.ones(5, 3))
    assert known.knows(torch.ones(2, 3)).all() and not known.knows(torch.zeros(2, 3)).any()


def test_the_embedding_is_what_the_last_linear_layer_takes():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4))
    x = torch.randn(3, 3, 2, 2)
    with embeddings_of(model, 4) as seen:
        logits = model(x)
    assert torch.allclose(model[-1](seen[0]), logits) and not model[-1]._forward_pre_hooks
    with embeddings_of(nn.Flatten(), 4) as seen:
        assert seen is None


def test_the_embedding_is_the_classifiers_also_where_an_inner_layer_has_as_many_outputs():
    model = create_model("mgff_resnet18", num_classes=8, img_size=64).eval()
    assert model.mgff.head.pool.score.out_features == 8
    with embeddings_of(model, 8) as seen, torch.no_grad():
        logits = model(torch.randn(2, 3, 64, 64))
    assert torch.allclose(model.get_classifier()(seen[0]), logits)
