"""Drawn birds under control: accuracy against object size, camouflage and part size, one factor at
a time.

The same species, scenes and poses are drawn again and again; only one number changes. What a curve
shows is caused by that number, which no collection of photographs can promise.
"""

import numpy as np
import torch
from tqdm.auto import tqdm

from ..renderer import SPECIES, render
from .ablation import add_result, tune
from .frozen_features import View, boxes_as_views
from .frozen_heads import predict_head

SWEEPS = {
    "scale": (
        0.2,
        0.3,
        0.4,
        0.5,
        0.65,
        0.8,
    ),  # longer side of the bird, as a share of the picture's
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


def controlled(study, results, seeds, configurations, command, say=print):
    """Experiment ``controlled``: heads trained on SketchBirds (with crops), tested on drawn
    pictures.

    The split of a row names the setting, such as ``scale=0.3``; ``<head>/stage1`` sees the whole
    picture, ``<head>/merged`` adds the ViT's crop.
    """
    cropper, heads = study.cropper(), {}
    for sweep, values in SWEEPS.items():
        for value in values:
            split = f"{sweep}={value:g}"
            todo = [
                (c, s)
                for s in seeds
                for c in configurations
                if not results.has(f"{c}/merged", s, split)
            ]
            if not todo:
                continue
            drawn = scenes(sweep, value)
            truth = torch.tensor([label for label in range(len(SPECIES)) for _ in range(SCENES)])
            pictures = [scene.image for scene in drawn]
            boxes = study.find_boxes(pictures, cropper)
            whole, crop = (
                _features(study, pictures, v)
                for v in ([View()] * len(drawn), boxes_as_views(boxes))
            )
            for configuration, seed in todo:
                if (configuration, seed) not in heads:
                    recipe = tune(study, results, configuration, command, say)
                    heads[configuration, seed] = study.trained(
                        configuration, recipe, seed, crops=True
                    )
                head, cost = heads[configuration, seed], study.cost(configuration)
                stage1, stage2 = predict_head(head, whole), predict_head(head, crop)
                for name, probabilities in (("stage1", stage1), ("merged", (stage1 + stage2) / 2)):
                    add_result(
                        results,
                        f"{configuration}/{name}",
                        seed,
                        split,
                        probabilities,
                        truth,
                        cost,
                        command,
                    )
            say(f"{split}: {len(todo)} runs on {len(truth)} pictures")


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
    from .results import summarise

    values = np.array(SWEEPS[sweep])
    return values, [
        summarise(rows, seeds, split=f"{sweep}={v:g}", configurations=[configuration])[
            configuration
        ]
        for v in values
    ]
