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
SMALL_SIZES = {"scale": (0.2, 0.3)}  # the sizes that are asked once more, of other scenes
# Seed of the first scene, and number of scenes of each species; SketchBirds and pretraining draw
# with other seeds.
SCENES = (7_000_000, 10)
NEW_SCENES = (8_000_000, 100)


def scenes(sweep, value, first=SCENES[0], count=SCENES[1]):
    """Pictures of all species with one factor set: list of `Scene`, species by species."""
    return [
        render(label, first + 1000 * label + i, **{sweep: value})
        for label in range(len(SPECIES))
        for i in range(count)
    ]


def small_birds(study, results, seeds, configurations):
    """Experiment ``small-birds``: `controlled` for small birds alone and with one look, of ten
    times as many scenes, none of which it used: whether its finding holds.
    """
    controlled(study, results, seeds, configurations, SMALL_SIZES, NEW_SCENES, ("stage1",))


def controlled(
    study, results, seeds, configurations, sweeps=SWEEPS, drawn=SCENES, looks=("stage1", "merged")
):
    """Experiment ``controlled``: heads trained on SketchBirds (with crops), tested on drawn
    pictures.

    The split of a row names the setting, such as ``scale=0.3``; ``<head>/stage1`` sees the whole
    picture, ``<head>/merged`` adds the ViT's crop.
    """
    settings = [(sweep, value) for sweep, values in sweeps.items() for value in values]
    cropper = study.cropper() if "merged" in looks else None
    truth = torch.arange(len(SPECIES)).repeat_interleave(drawn[1])
    seen = {}  # the features of each setting's pictures, computed when a head has not met them
    for configuration, seed in [(c, s) for s in seeds for c in configurations]:
        head, cost = None, study.cost(configuration)
        for sweep, value in settings:
            split = f"{sweep}={value:g}"
            if results.has(f"{configuration}/{looks[-1]}", seed, split):
                continue
            if split not in seen:
                pictures = [scene.image for scene in scenes(sweep, value, *drawn)]
                views = [[View()] * len(pictures)]
                if cropper:
                    views.append(boxes_as_views(study.find_boxes(pictures, cropper)))
                seen[split] = [_features(study, pictures, view) for view in views]
            if head is None:
                recipe = tune(study, results, configuration)
                head = study.trained(configuration, recipe, seed, crops=True)
            found = [predict_head(head, view) for view in seen[split]]
            for look, probabilities in zip(looks, (found[0], sum(found) / len(found))):
                name = f"{configuration}/{look}"
                add_result(results, name, seed, split, probabilities, truth, cost)
        logger.info(f"{configuration}, seed {seed}: {len(truth)} pictures of each setting")


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
