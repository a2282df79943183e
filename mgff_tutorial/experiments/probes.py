"""What does a granularity know by itself? A linear layer on its pooled map, beside one on what the
backbone's own classifier sees.
"""

import logging
from functools import partial

import torch

from .ablation import add_result, best_of, scores_of
from .frozen_heads import FrozenHead, predict_head, train_head
from .replication import SPLIT, START, bracketed, validate

logger = logging.getLogger(__name__)


def mean(maps):
    """(N, C, H, W) -> (N, C)."""
    return maps.float().mean((2, 3))


def spread(maps):
    """Mean, maximum and standard deviation over positions: (N, C, H, W) -> (N, 3 C)."""
    maps = maps.float()
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), maps.std((2, 3))], 1)


def granularities(*levels, pool=mean):
    return lambda view: torch.cat([pool(view["maps"][level]) for level in levels], 1)


PROBES = {  # name -> what the linear layer sees of a stored view
    **{f"granularity-{i}": granularities(i) for i in range(3)},
    **{f"granularity-{i}/spread": granularities(i, pool=spread) for i in range(3)},
    "classifier": lambda view: view["pooled"],
    "classifier+granularities": lambda view: torch.cat(
        [view["pooled"], granularities(0, 1)(view)], 1
    ),
}
VIEWS = ("whole", "flip")  # of the training images


def probes(study, results, seeds, configurations):
    """Experiments ``probes-cub20`` and ``probes-cub15``: accuracy on the whole test images; rates
    by cross-validation.
    """
    truth = torch.tensor(study.test.labels)
    for name in configurations:
        todo = [seed for seed in seeds if not results.has(name, seed)]
        if not todo:
            continue
        train = [PROBES[name](study.view("train", kind)) for kind in VIEWS]
        centre, scale = train[0].mean(0), train[0].std(0).clamp_min(1e-6)
        views = [{"pooled": (one - centre) / scale} for one in train]
        test = {"pooled": (PROBES[name](study.view("test", "whole")) - centre) / scale}

        def run(recipe):
            return validate(study, partial(_trained, study, views, recipe, 0), views[0], {})

        recipe = bracketed(START, "lr", lambda trials: best_of(results, name, trials, run, SPLIT))
        for seed in todo:
            head = _trained(study, views, recipe, seed, range(len(study.train)))
            found = predict_head(head, test)
            cost = {"params": sum(p.numel() for p in head.parameters())}
            add_result(results, name, seed, "test", found, truth, cost)
        share = 100 * scores_of(found, truth)["accuracy"]
        logger.info(f"{name}, seed {seed}: {share:.1f} %")


def _trained(study, views, recipe, seed, indices):
    torch.manual_seed(seed)
    width = views[0]["pooled"].shape[1]
    head = FrozenHead([width] * 4, study.backbone.grids, len(study.train.classes), "baseline")
    return train_head(head, views, study.labels, indices, recipe, seed)
