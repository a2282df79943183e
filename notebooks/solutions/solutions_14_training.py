"""Solutions of notebook 14 (training)."""

import math

import numpy as np
import torch.nn.functional as F


def warm_cosine(step, total, warmup, peak):
    """A straight line up, then half a cosine down to 0.

    The line starts at ``step + 1``, because an update with rate 0 would be wasted. The cosine
    counts from the end of the warm-up and has ``total - warmup`` updates to come down.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def accumulate(model, images, labels, size):
    """Gradient of the mean loss over all images, ``size`` images at a time.

    Summed losses, divided by the number of ALL images, weight each image equally, whatever the size
    of its pass.
    """
    model.zero_grad()
    total = 0.0
    for part, target in zip(images.split(size), labels.split(size)):
        loss = F.cross_entropy(model(part), target, reduction="sum") / len(images)
        loss.backward()
        total += loss.item()
    return total


def accuracy_of_shares(shares, count):
    """Accuracy over ``count`` images from shares of (position, right) pairs that may repeat
    positions.

    A dictionary keeps one verdict for each position; its size says whether one is missing.
    """
    verdicts = {position: right for share in shares for position, right in share}
    missing = set(range(count)) - set(verdicts)
    if missing:
        raise ValueError(f"no prediction for position {min(missing)}")
    return sum(verdicts[position] for position in range(count)) / count


def validation_split(labels, fraction, seed):
    """Split positions in two, class by class, with a generator of its own."""
    labels = np.asarray(labels)
    draw = np.random.default_rng(seed)
    held = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        number = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held.extend(draw.permutation(members)[:number].tolist())
    rest = sorted(set(range(len(labels))) - set(held))
    return rest, sorted(held)
