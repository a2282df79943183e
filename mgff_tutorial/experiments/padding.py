"""How wide a margin around the box that the ViT finds? Measured on training images alone, by
cross-validation.

A tight box agrees best with the annotation; a margin keeps beaks and tails that the ViT missed, and
costs pixels.
"""

from functools import cache

import numpy as np
import torch

from ..cropper import pad_boxes
from .ablation import add_result, tune
from .frozen_features import boxes_as_views
from .frozen_heads import predict_head
from .localisation import box_iou, share_inside

PADDINGS = (0.0, 0.05, 0.1, 0.2)  # share of the box's side, on each side
FOLDS = 5
SPLIT = "five folds"  # of the training images


def padding(study, results, seeds, configurations, command, say=print):
    """Experiments ``padding-cub20`` and ``padding-sketchbirds``.

    ``<head>/padding=<p>/stage2`` is the crop alone and ``.../merged`` both looks, over all training
    images, each predicted by the head that did not see it; a seed draws other folds.
    ``padding=<p>`` holds mean IoU and the share of visible parts inside the box, in which no head
    takes part.
    """
    bare, truth = study.boxes("train", "bare"), study.labels
    views = {p: boxes_as_views(bare, p) for p in PADDINGS}
    for p in PADDINGS:
        if not results.has(f"padding={p:g}", 0, SPLIT):
            box = torch.cat(
                [
                    pad_boxes(one[None], p, height, width)
                    for one, (width, height) in zip(
                        torch.as_tensor(bare).double(), study.sizes("train")
                    )
                ]
            )
            scores = {
                "mean IoU": box_iou(box, study.train.boxes).mean().item(),
                "parts kept": parts_kept(box, study.train.parts),
            }
            results.add(
                [
                    dict(
                        configuration=f"padding={p:g}",
                        seed=0,
                        split=SPLIT,
                        metric=metric,
                        value=round(value, 4),
                        n=len(truth),
                        params=0,
                        flops=0,
                        seconds=0.0,
                        command=command,
                    )
                    for metric, value in scores.items()
                ]
            )
    crop = cache(lambda p: study.features.extract(study.train, views[p], name=f"padding {p:g}"))
    for configuration, seed in [(c, s) for s in seeds for c in configurations]:
        todo = [
            p
            for p in PADDINGS
            if not results.has(f"{configuration}/padding={p:g}/merged", seed, SPLIT)
        ]
        if not todo:
            continue
        recipe, cost = tune(study, results, configuration, command, say), study.cost(configuration)
        whole, shape = study.view("train", "whole"), (len(truth), len(study.train.classes))
        stage1, stage2 = torch.zeros(shape), {p: torch.zeros(shape) for p in todo}
        folds = assign_folds(study.train.labels, FOLDS, seed)
        for fold in range(FOLDS):
            rest, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            head = study.trained(configuration, recipe, seed, rest)
            stage1[held] = predict_head(head, whole, held)
            for p in todo:
                stage2[p][held] = predict_head(head, crop(p), held)
        for p in todo:
            for look, probabilities in (
                ("stage2", stage2[p]),
                ("merged", (stage1 + stage2[p]) / 2),
            ):
                add_result(
                    results,
                    f"{configuration}/padding={p:g}/{look}",
                    seed,
                    SPLIT,
                    probabilities,
                    truth,
                    cost,
                    command,
                )
        say(f"{configuration}, seed {seed}: {len(todo)} paddings on {FOLDS} folds")


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
    shares = [
        share_inside(part[part[:, 2] > 0, :2], box)
        for part, box in zip(parts.double(), torch.as_tensor(boxes))
    ]
    return float(np.nanmean(shares))
