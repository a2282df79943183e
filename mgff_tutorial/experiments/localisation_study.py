"""Experiment ``localisation``: the scores of every rule as stored results, with intervals over the
images.

A row's configuration is ``<rule>@<side of the ViT's input>``, or the name of a baseline; beside the
rows lie the box, the IoU and the peak of every image, from which the numbers can be recomputed.
"""

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ..cropper import ViTCropper
from ..response import get_rule
from ..support.errors import InputError
from .intervals import t_interval, wilson_interval
from .localisation import BASELINES, Score, find_in_dataset

METRICS = {
    "mean IoU": "iou",
    "IoU above 0.5": "iou",
    "pointing game": "peak_in_box",
    "parts kept": "parts_kept",
}


def localise(dataset, open_vit, results, rules, sizes, command, limit=None, say=print, **options):
    """Score ``rules`` and the two baselines at each input size; what ``results`` holds already is
    not run again.

    Boxes are tight (no padding), as the measures of the literature want them; the cropper itself
    adds 5 %.

    Args:
        dataset: with boxes, and a ``split``. limit: as for `score_dataset`.
        open_vit: function of the input size that returns the ViT.
        results: `Results`, filled size by size. rules: names in `response.RULES`. sizes: sides in
            pixels.
        options: of `find_objects`.

    Raises:
        InputError: an unknown rule, a data set without boxes, a side that the ViT's patches do not
            divide, or results that were counted over another number of images.
    """
    for rule in rules:
        get_rule(rule)
    split, count = dataset.split, min(limit or len(dataset), len(dataset))
    for row in results.rows:
        if row.split == split and row.metric == "mean IoU" and row.n != count:
            raise InputError(
                f"{results.path} holds {row.configuration} over {row.n} {split} images, and "
                f"this run has "
                f"{count}; choose another --out."
            )
    for size in sizes:
        todo = [rule for rule in rules if not results.has(f"{rule}@{size}", 0, split)]
        if not todo:
            say(f"skipping {size} pixels: {results.path} holds its {len(rules)} rules.")
            continue
        if len(todo) < len(rules):
            say(
                f"{size} pixels: skipping {len(rules) - len(todo)} rules that {results.path} holds."
            )
        vit = open_vit(size)
        cropper, patch = (
            ViTCropper(vit, padding=0.0, input_size=size),
            vit.patch_embed.patch_size[0],
        )
        if size % patch:
            raise InputError(
                f"--input-size must be a multiple of the ViT's patch, {patch} pixels, got {size}."
            )
        found = find_in_dataset(cropper, dataset, todo, limit, **options)
        names = {**{name: name for name in BASELINES}, **{rule: f"{rule}@{size}" for rule in todo}}
        flops, rows, arrays = _flops(vit, size), [], {}
        for rule, name in names.items():
            if results.has(name, 0, split):
                continue
            mine = [one for one in found if one.rule == rule]
            values = arrays_of(mine)
            arrays.update({f"{name}/{split}/{key}": array for key, array in values.items()})
            rows += [
                dict(
                    configuration=name,
                    seed=0,
                    split=split,
                    metric=metric,
                    value=value,
                    n=n,
                    params=0,
                    flops=0 if rule in BASELINES else flops,
                    seconds=0.0,
                    command=command,
                )
                for metric, (value, n) in measure(values).items()
            ]
        results.add(rows, arrays)
        say(f"{size} pixels: {len(todo)} rules scored on {count} images.")


def arrays_of(found):
    """What is stored of the `Found` of one rule: boxes (N, 4), and IoU, peak hit and parts kept,
    (N,) each.
    """
    arrays = {"box": np.array([one.box for one in found], dtype=np.float32)}
    for key in ("iou", "peak_in_box", "parts_kept"):
        arrays[key] = np.array([getattr(one, key) for one in found], dtype=np.float32)
    return arrays


def measure(arrays):
    """Metric -> (value, number of images that have it), leaving out what the rule or the data set
    does not have.
    """
    out = {}
    for metric, key in METRICS.items():
        values = arrays[key][~np.isnan(arrays[key])].astype(np.float64)
        if len(values):
            values = values > 0.5 if metric == "IoU above 0.5" else values
            out[metric] = (round(float(values.mean()), 6), len(values))
    return out


def stored_scores(rows):
    """`Score` rows from `Row`s, in the file's order; NaN where a rule has no such number."""
    scores = {}
    for row in rows:
        scores.setdefault((row.configuration, row.split), []).append(row)
    return [_score(name, split, mine) for (name, split), mine in scores.items()]


def _score(name, split, rows):
    value, (rule, _, size) = {row.metric: row.value for row in rows}, name.partition("@")
    data = rows[0].experiment.removeprefix("localisation_")
    numbers = [value.get(metric, float("nan")) for metric in METRICS]
    return Score(data, split, rule, int(size or 0), 0.0, rows[0].n, *numbers)


def localisation_table(results, split=None, keep=lambda score: True, order=lambda score: 0):
    """A Markdown table of stored scores with 95 % intervals over the images (t for means, Wilson
    for shares).

    Args:
        results: `Results` of this experiment. split: one split, or None for all.
        keep: function of a `Score`: whether it gets a row. order: likewise, what the rows are
            sorted by.
    """
    lines = [
        "| rule | ViT's input | images | mean IoU | IoU above 0.5 | pointing game |",
        "|---|---|---|---|---|---|",
    ]
    for score in sorted(stored_scores(results.rows), key=order):
        if split not in (None, score.split) or not keep(score):
            continue
        name = f"{score.rule}@{score.input_size}" if score.input_size else score.rule
        cells = [_cell(results, name, score.split, metric) for metric in list(METRICS)[:3]]
        label = score.rule if split else f"{score.rule}, {score.split}"
        lines.append(
            f"| {label} | {score.input_size or ''} | {score.images} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _cell(results, name, split, metric):
    row = next(
        (r for r in results.rows if (r.configuration, r.split, r.metric) == (name, split, metric)),
        None,
    )
    if row is None:
        return ""
    if metric != "mean IoU":
        estimate = wilson_interval(round(row.value * row.n), row.n)
    elif f"{name}/{split}/iou" in results.predictions:
        estimate = t_interval(results.predictions[f"{name}/{split}/iou"])
    else:
        return f"{row.value:.3f}"
    return f"{row.value:.3f} ({estimate.low:.2f} to {estimate.high:.2f})"


@torch.no_grad()
def _flops(vit, size):
    """FLOPs of one forward pass, by torch's counter."""
    with FlopCounterMode(display=False) as counter:
        vit.forward_features(torch.zeros(1, 3, size, size, device=next(vit.parameters()).device))
    return counter.get_total_flops()
