"""Drawn birds under control: accuracy against object size, camouflage and part size, one factor at
a time.

The same species, scenes and poses are drawn again and again; only one number changes. What a curve
shows is caused by that number, which no collection of photographs can promise.
"""

import logging

import numpy as np
import torch
from tqdm.auto import tqdm

from ..renderer import SPECIES, render
from .ablation import add_result, tune
from .frozen_features import View, boxes_as_views
from .frozen_heads import predict_head
from .results import summarise

logger = logging.getLogger(__name__)

USUAL = ("baseline", "mlp-control", "mgff")
SWEEPS = {
    # longer side of the bird, as a share of the picture's
    "scale": (0.2, 0.3, 0.4, 0.5, 0.65, 0.8),
    "camouflage": (0.0, 0.25, 0.5, 0.75, 1.0),  # how much the surroundings wear the bird's colours
    "part_scale": (0.5, 0.75, 1.0, 1.5, 2.0),  # size of the parts that decide the label
}
FIRST_SEED = 7_000_000  # of the scenes; SketchBirds and pretraining draw with others
SCENES = 10  # of each species


def scenes(sweep, value, count=SCENES):
    """Pictures of all species with one factor set: list of `Scene`, species by species."""
    return [
        render(label, FIRST_SEED + 1000 * label + i, **{sweep: value})
        for label in range(len(SPECIES))
        for i in range(count)
    ]


def controlled(study, results, seeds, configurations):
    """Experiment ``controlled``: heads trained on SketchBirds (with crops), tested on drawn
    pictures.

    The split of a row names the setting, such as ``scale=0.3``; ``<head>/stage1`` sees the whole
    picture, ``<head>/merged`` adds the ViT's crop.
    """
    cropper, heads = study.cropper(), {}
    truth = torch.arange(len(SPECIES)).repeat_interleave(SCENES)
    for sweep, value in [(sweep, value) for sweep, values in SWEEPS.items() for value in values]:
        split = f"{sweep}={value:g}"
        runs = [(c, s) for s in seeds for c in configurations]
        todo = [(c, s) for c, s in runs if not results.has(f"{c}/merged", s, split)]
        if not todo:
            continue
        pictures = [scene.image for scene in scenes(sweep, value)]
        whole = _features(study, pictures, [View()] * len(pictures))
        crop = _features(study, pictures, boxes_as_views(study.find_boxes(pictures, cropper)))
        for configuration, seed in todo:
            if (configuration, seed) not in heads:
                recipe = tune(study, results, configuration)
                heads[configuration, seed] = study.trained(configuration, recipe, seed, crops=True)
            head, cost = heads[configuration, seed], study.cost(configuration)
            stage1, stage2 = predict_head(head, whole), predict_head(head, crop)
            for look, probabilities in (("stage1", stage1), ("merged", (stage1 + stage2) / 2)):
                name = f"{configuration}/{look}"
                add_result(results, name, seed, split, probabilities, truth, cost)
        logger.info(f"{split}: {len(todo)} runs on {len(truth)} pictures")


def _features(study, pictures, views, batch_size=50):
    parts = [
        study.features.maps_of(pictures[i : i + batch_size], views[i : i + batch_size])
        for i in tqdm(
            range(0, len(pictures), batch_size), desc="features", unit="batch", leave=False
        )
    ]
    return {
        "maps": [torch.cat([part["maps"][i] for part in parts]) for i in range(4)],
        "pooled": torch.cat([part["pooled"] for part in parts]),
    }


def curve(rows, configuration, sweep, seeds):
    """Accuracy against one factor.

    Returns:
        (values of the factor, list of `Estimate` over the seeds).
    """
    found = [
        summarise(rows, seeds, split=f"{sweep}={value:g}", configurations=[configuration])
        for value in SWEEPS[sweep]
    ]
    return np.array(SWEEPS[sweep]), [table[configuration] for table in found]
