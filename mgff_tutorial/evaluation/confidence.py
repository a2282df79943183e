"""How far a prediction can be believed: calibrated probabilities, and whether an image is like
those of the training at all.

Temperature scaling: Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017. Familiarity:
the Mahalanobis distance of Lee et al., NeurIPS 2018, with one Gaussian for all classes, whose
covariance is kept as its largest directions and one number for the rest (Tipping and Bishop 1999).
"""

import base64
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

DIRECTIONS = 64  # of the embeddings' covariance; more change nothing on the drawn birds
KEPT = 0.95  # share of known images that a threshold of familiarity lets pass


def soften(probabilities, temperature):
    """Probabilities (..., K) as the softmax of logits divided by ``temperature`` would give them;
    the most probable class stays.
    """
    logits = torch.as_tensor(probabilities).double().clamp(min=1e-12).log()
    return (logits / temperature).softmax(-1).float()


def fit_temperature(probabilities, labels):
    """The temperature under which the true classes (N,) are most likely, from 0.1 to 10.

    One more image counts of which nothing is known, any class being as likely as any other: a few
    images that were all named rightly do not make a model certain.
    """
    logits = torch.as_tensor(probabilities).double().clamp(min=1e-12).log()
    labels = torch.as_tensor(labels)
    grid, unknown = np.geomspace(0.1, 10, 401), 1 / (len(labels) + 1)
    losses = [
        nn.functional.cross_entropy(logits / t, labels, label_smoothing=unknown).item()
        for t in grid
    ]
    return round(float(grid[int(np.argmin(losses))]), 4)


def calibration_error(probabilities, labels, bins=15):
    """Expected calibration error: the mean gap between confidence and share of right answers.

    Args:
        probabilities: (N, K). labels: (N,) true classes. bins: of equal width, of the confidence.

    Returns:
        0 (what is said at 70 % is right in 70 % of cases) to 1; 0 without images.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if not len(labels):
        return 0.0
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, right - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def calibrate(held_out, measured=None):
    """What a card keeps of calibration: a temperature, and what it does on images that it was not
    fitted on.

    Args:
        held_out: `Predictions` of images that were not trained on, to fit the temperature.
        measured: `Predictions` of others, to measure it. None: the held-out ones, each half with
            the temperature of the other.

    Returns:
        dict of ``temperature``, ``images`` it was fitted on, ``error`` and ``error_before`` (the
        calibration error with and without it) on ``count`` images.
    """
    temperature = fit_temperature(held_out.probabilities, held_out.labels)
    if measured is None:
        measured, after = held_out, np.empty_like(held_out.probabilities)
        for half in (0, 1):
            p, labels = held_out.probabilities[1 - half :: 2], held_out.labels[1 - half :: 2]
            other = fit_temperature(p, labels) if len(labels) else temperature
            after[half::2] = soften(held_out.probabilities[half::2], other)
    else:
        after = soften(measured.probabilities, temperature).numpy()
    return {
        "temperature": temperature,
        "images": held_out.count,
        "error": round(calibration_error(after, measured.labels), 4),
        "error_before": round(calibration_error(measured.probabilities, measured.labels), 4),
        "count": measured.count,
    }


@contextmanager
def embeddings_of(classifier, classes):
    """A list that takes the embeddings (B, C) of every forward pass inside: what goes into the
    linear layer that gives the logits. None for a model without such a layer.
    """
    head = _classifier_layer(classifier, classes)
    if head is None:
        yield None
        return
    seen = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    try:
        yield seen
    finally:
        hook.remove()


def _classifier_layer(model, classes):
    """The model's own answer where it has one: an inner layer may have as many outputs."""
    named = model.get_classifier() if hasattr(model, "get_classifier") else None
    layers = [named] if isinstance(named, nn.Linear) else list(model.modules())
    fitting = [m for m in layers if isinstance(m, nn.Linear) and m.out_features == classes]
    return fitting[-1] if fitting else None


class Familiarity:
    """How far an image's embedding lies from those of the training images.

    Args:
        mean: (C,). axes: (R, C), orthonormal. variances: (R,) along the axes. rest: variance along
            each other direction. threshold: distance beyond which an image counts as unlike all
            that was trained on.
    """

    def __init__(self, mean, axes, variances, rest, threshold=None):
        self.mean, self.axes, self.variances = mean, axes, variances
        self.rest, self.threshold = rest, threshold

    @classmethod
    def fit(cls, embeddings):
        """The Gaussian of (N, C) embeddings of training images; the threshold is still to be
        set.
        """
        x = embeddings.double().cpu()
        mean = x.mean(0)
        _, sizes, axes = torch.linalg.svd(x - mean, full_matrices=False)
        variances = sizes.square() / len(x)
        # what is fitted is what the card can hold
        count = max(1, min(DIRECTIONS, len(variances) - 1))
        dim = x.shape[1]
        rest = float(variances[count:].sum() / max(1, dim - count))
        floor = max(rest, 1e-6 * float(variances[0]), 1e-12)
        mean, axes = (t.half().double() for t in (mean, axes[:count]))
        return cls(mean, axes, variances[:count].clamp(floor), floor)

    def distance(self, embeddings):
        """(N,) mean squared distance per direction; about 1 for images of the training."""
        x = embeddings.double().cpu() - self.mean
        along = x @ self.axes.T
        inside = (along.square() / self.variances).sum(1)
        outside = (x.square().sum(1) - along.square().sum(1)).clamp(min=0) / self.rest
        return (inside + outside) / x.shape[1]

    def set_threshold(self, embeddings):
        """Let `KEPT` of these known images (N, C), which were not trained on, pass."""
        self.threshold = float(np.quantile(self.distance(embeddings).numpy(), KEPT))
        return self

    def knows(self, embeddings):
        """(N,) whether each image is like those of the training."""
        return self.distance(embeddings) <= self.threshold

    def as_card(self):
        """JSON-able values, 2 bytes per number."""
        return {
            "mean": _packed(self.mean),
            "axes": _packed(self.axes),
            "variances": [float(f"{value:.5g}") for value in self.variances],
            "rest": self.rest,
            "threshold": self.threshold,
            "kept": KEPT,
        }

    @classmethod
    def from_card(cls, card):
        """From `as_card`; None where the card says nothing that can be used."""
        try:
            mean, axes = _unpacked(card["mean"]), _unpacked(card["axes"])
            variances = torch.tensor(card["variances"], dtype=torch.float64)
            rest, threshold = float(card["rest"]), float(card["threshold"])
            return cls(mean, axes.reshape(len(variances), len(mean)), variances, rest, threshold)
        except (KeyError, TypeError, ValueError, RuntimeError):
            return None


def _packed(tensor):
    return base64.b64encode(tensor.half().numpy().astype("<f2").tobytes()).decode("ascii")


def _unpacked(text):
    values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2")
    return torch.from_numpy(values.astype(np.float64))
