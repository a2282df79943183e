"""How wide a margin around the box that the ViT finds? Measured on training images alone, by
cross-validation.

A tight box agrees best with the annotation; a margin keeps beaks and tails that the ViT missed, and
costs pixels.
"""

import logging
from functools import cache, partial

import numpy as np
import torch

from ..cropper import pad_boxes
from .ablation import add_result, tune
from .frozen_features import boxes_as_views
from .frozen_heads import predict_head
from .localisation import box_iou, shares_inside, visible

logger = logging.getLogger(__name__)

PADDINGS = (0.0, 0.05, 0.1, 0.2)  # share of the box's side, on each side
USUAL = ("baseline",)
FOLDS = 5
SPLIT = "five folds"  # of the training images


def padding(study, results, seeds, configurations):
    """Experiments ``padding-cub20`` and ``padding-sketchbirds``.

    ``<head>/padding=<p>/stage2`` is the crop alone and ``.../merged`` both looks, over all training
    images, each predicted by the head that did not see it; a seed draws other folds.
    ``padding=<p>`` holds mean IoU and the share of visible parts inside the box, in which no head
    takes part.
    """
    bare, truth = torch.as_tensor(study.boxes("train", "bare")).double(), study.labels
    for p in PADDINGS:
        if not results.has(f"padding={p:g}", 0, SPLIT):
            boxes = zip(bare, study.sizes("train"))
            box = torch.cat([pad_boxes(b[None], p, high, wide) for b, (wide, high) in boxes])
            scores = {
                "mean IoU": round(box_iou(box, study.train.boxes).mean().item(), 4),
                "parts kept": round(parts_kept(box, study.train.parts), 4),
            }
            results.add_values(scores, configuration=f"padding={p:g}", split=SPLIT, n=len(truth))

    @cache
    def crop(p):
        views = boxes_as_views(bare, p)
        return study.features.extract(study.train, views, name=f"padding {p:g}")

    for configuration, seed in [(c, s) for s in seeds for c in configurations]:
        names = {p: f"{configuration}/padding={p:g}" for p in PADDINGS}
        todo = [p for p in PADDINGS if not results.has(f"{names[p]}/merged", seed, SPLIT)]
        if not todo:
            continue
        recipe, cost = tune(study, results, configuration), study.cost(configuration)
        train = partial(study.trained, configuration, recipe, seed)
        views = [study.view("train", "whole"), *map(crop, todo)]
        stage1, *crops = cross_validate(study, FOLDS, seed, train, views)
        for p, stage2 in zip(todo, crops):
            looks = {"stage2": stage2, "merged": (stage1 + stage2) / 2}
            for look, found in looks.items():
                add_result(results, f"{names[p]}/{look}", seed, SPLIT, found, truth, cost)
        logger.info(f"{configuration}, seed {seed}: {len(todo)} paddings on {FOLDS} folds")


def cross_validate(study, count, seed, train, views):
    """Class probabilities (N, K) of all training images, each from a head that did not see it: one
    tensor for each of ``views``.

    Args:
        count, seed: of `assign_folds`. train: indices of the images to train on -> head.
    """
    labels = study.train.labels
    found = torch.zeros(len(views), len(labels), len(study.train.classes))
    folds = assign_folds(labels, count, seed)
    for fold in range(count):
        head, held = train(np.flatnonzero(folds != fold)), np.flatnonzero(folds == fold)
        for probabilities, view in zip(found, views):
            probabilities[held] = predict_head(head, view, held)
    return found


def assign_folds(labels, count, seed):
    """The fold of each image, (N,) integers from 0; every class is spread evenly over the ``count``
    folds.
    """
    labels, generator = np.asarray(labels), np.random.default_rng(seed)
    folds = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        images = generator.permutation(np.flatnonzero(labels == label))
        folds[images] = (np.arange(len(images)) + generator.integers(count)) % count
    return folds


def parts_kept(boxes, parts):
    """Mean over images of the share of visible parts inside the box; images without a visible part
    don't count.

    Args:
        boxes: (N, 4) xyxy pixels. parts: (N, P, 3), each x, y, visible.
    """
    return float(np.nanmean(shares_inside(visible(parts.double()), torch.as_tensor(boxes))))
