"""Is the box on the bird? Scores of localisation rules against true boxes and part locations.

Measures of the literature: mean intersection over union (IoU), share of images with IoU above 0.5
("GT-known localisation", "CorLoc"), and the pointing game (Zhang et al., 2018) on parts: is the
highest point of the response map inside the object's box, and how many of the visible parts does
the crop keep? Two baselines that look at no image, `full_image` and `central_box`, show what a
number is worth.

In the results of the experiment ``localisation`` a row's configuration is ``<rule>@<side of the
ViT's input>``, or the name of a baseline; beside the rows lie the box, the IoU and the peak of
every image, from which the numbers can be recomputed.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import BatchSampler
from torchvision.transforms.functional import normalize
from tqdm.auto import tqdm

from ..cropper import ViTCropper, resize
from ..evaluation.boxes import as_pixels
from ..response import get_rule, record_attention
from ..support.errors import InputError
from ..support.fast import count_flops

logger = logging.getLogger(__name__)

BASELINES = ("full_image", "central_box")
METRICS = {  # metric -> the array of `find_objects` that it is counted from
    "mean IoU": "iou",
    "IoU above 0.5": "iou",
    "pointing game": "peak_in_box",
    "parts kept": "parts_kept",
}


def box_iou(first, second):
    """Intersection over union of box i of ``first`` with box i of ``second``, both (N, 4) xyxy:
    (N,).
    """
    first, second = torch.as_tensor(first).double(), torch.as_tensor(second).double()
    if first.shape != second.shape or first.dim() != 2 or first.shape[1] != 4:
        raise InputError(
            f"boxes: expected two (N, 4) arrays, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    sides = (
        torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    ).clamp(min=0)
    shared = sides.prod(dim=1)
    areas = (first[:, 2:] - first[:, :2]).prod(dim=1) + (second[:, 2:] - second[:, :2]).prod(dim=1)
    return shared / (areas - shared).clamp(min=1e-9)


def full_image(sizes):
    """The whole image as a box: (N, 4) for (N, 2) sizes (width, height)."""
    return central_box(sizes, 1.0)


def central_box(sizes, share=0.7):
    """A box in the middle with ``share`` of each side: (N, 4) for (N, 2) sizes (width, height)."""
    sizes = torch.as_tensor(sizes)
    sizes = sizes if sizes.is_floating_point() else sizes.float()
    return torch.cat([sizes * (0.5 - share / 2), sizes * (0.5 + share / 2)], dim=1)


@dataclass
class Score:
    """One row of a localisation table; ``input_size`` is the ViT's, 0 for the baselines."""

    split: str
    rule: str
    input_size: int
    images: int
    mean_iou: float
    above_half: float
    pointing_game: float
    parts_kept: float


def find_objects(
    cropper,
    pictures,
    boxes,
    parts=None,
    rules=("literal", "attended_object"),
    batch_size=16,
    progress=False,
):
    """Boxes of several rules and both baselines on the same images, with one forward pass an image.

    Args:
        cropper: a `ViTCropper`; its own rule is not used, its ViT, input size and padding are.
        pictures: sequence of PIL images, or a function that opens image i.
        boxes: (N, 4) true boxes, xyxy pixels.
        parts: for each image an array (P, 2) of visible part locations in pixels, or None.
        rules: names in `response.RULES` or `FITTED_RULES`.
        progress: show a bar.

    Returns:
        dict rule -> dict of (N, ...) arrays: ``"box"`` (N, 4), xyxy pixels of the image; ``"iou"``;
        ``"peak_in_box"``, 1 or 0, NaN for the baselines, which have no peak; ``"parts_kept"``, the
        share of visible parts inside the box, NaN without parts.
    """
    boxes = torch.as_tensor(boxes, dtype=torch.float32)
    if not callable(pictures) and len(boxes) != len(pictures):
        raise InputError(
            f"boxes: got {len(boxes)} for {len(pictures)} images; accepted: one for each."
        )
    rules = {name: get_rule(name, cropper.vit) for name in rules}
    depth = len(cropper.vit.blocks)
    last = max(
        (depth if r.last is None else min(depth, r.last) for r in rules.values()), default=None
    )
    parameter, found = next(cropper.vit.parameters()), {name: [] for name in (*BASELINES, *rules)}
    opened = pictures if callable(pictures) else pictures.__getitem__
    batches = BatchSampler(range(len(boxes)), batch_size, drop_last=False)
    for indices in tqdm(batches, disable=not progress, desc="localising", leave=False):
        seen = [opened(i).convert("RGB") for i in indices]
        sizes = torch.tensor([picture.size for picture in seen], dtype=torch.float32)
        x = torch.stack([resize(as_pixels(picture), cropper.input_size) for picture in seen])
        x = normalize(x, cropper.mean, cropper.std).to(parameter.device, parameter.dtype)
        with torch.no_grad():
            record = record_attention(cropper.vit, x, last)
        no_peak = torch.full_like(sizes, float("nan"))
        found["full_image"].append((full_image(sizes), no_peak))
        found["central_box"].append((central_box(sizes), no_peak))
        for name, rule in rules.items():
            found[name].append(_boxes_of(record, rule, cropper, sizes))
    return {name: _judge(*map(torch.cat, zip(*f)), boxes, parts) for name, f in found.items()}


def _boxes_of(record, rule, cropper, sizes):
    """(B, 4) boxes and (B, 2) peaks of one rule, in pixels of the original images."""
    kept = replace(record, layers=record.layers[-(rule.last or 0) :])
    weights = rule.weigh(kept).float().unflatten(1, record.grid)
    guide = record.image if rule.edges else None
    found = cropper.locate(weights, cropper.input_size, rule.tau, guide)
    height, width = cropper.input_size
    scale = sizes / sizes.new_tensor([width, height])
    peak = found.response.flatten(1).argmax(dim=1).cpu()
    return found.boxes.cpu() * scale.repeat(1, 2), torch.stack(
        [peak % width, peak // width], dim=1
    ) * scale


def _judge(guess, peak, truth, parts):
    """The arrays of one rule, see `find_objects`."""
    hit = _inside(peak, truth).float()
    hit[peak.isnan().any(dim=1)] = float("nan")
    out = {"box": guess, "iou": box_iou(guess, truth), "peak_in_box": hit}
    out["parts_kept"] = shares_inside([[]] * len(guess) if parts is None else parts, guess)
    return {key: values.numpy().astype(np.float32) for key, values in out.items()}


def shares_inside(parts, boxes):
    """Share of the (P, 2) points of each image that its box (xyxy, the same unit) holds, the border
    included; NaN without points: (N,).
    """
    parts = [torch.as_tensor(points).reshape(-1, 2) for points in parts]
    return torch.stack([_inside(p, box).float().mean() for p, box in zip(parts, boxes)])


def visible(parts):
    """Of (N, P, 3) parts, each x, y, visible, the (P, 2) places of those that are visible."""
    return [part[part[:, 2] > 0, :2] for part in torch.as_tensor(parts)]


def _inside(points, boxes):
    return ((points >= boxes[..., :2]) & (points <= boxes[..., 2:])).all(dim=-1)


def summarise(found, split="", input_size=0):
    """One `Score` for each rule of `find_objects`."""
    return [
        _score(split, rule, 0 if rule in BASELINES else input_size, values=measure(arrays))
        for rule, arrays in found.items()
    ]


def _score(split, rule, *size, values):
    images = max(n for _, n in values.values())
    numbers = [values.get(metric, (float("nan"), 0))[0] for metric in METRICS]
    return Score(split, rule, int(size[0]) if size else 0, images, *numbers)


def measure(arrays):
    """Metric -> (value, number of images that have it) of the arrays of one rule, leaving out what
    the rule or the data set does not have.
    """
    out = {}
    for metric, key in METRICS.items():
        values = arrays[key][~np.isnan(arrays[key])].astype(np.float64)
        if len(values):
            values = values > 0.5 if metric == "IoU above 0.5" else values
            out[metric] = (round(float(values.mean()), 6), len(values))
    return out


def find_in_dataset(cropper, dataset, rules, limit=None, **options):
    """`find_objects` on a data set with boxes, or on every (len / limit)-th of its images."""
    if getattr(dataset, "boxes", None) is None:
        raise InputError(f"dataset: {type(dataset).__name__} has no boxes to score against.")
    step = 1 if not limit else max(1, len(dataset) // limit)
    dataset = dataset.subset(list(range(0, len(dataset), step))[:limit])
    parts = visible(dataset.parts.float()) if getattr(dataset, "parts", None) is not None else None
    return find_objects(cropper, dataset.image, dataset.boxes, parts, rules, **options)


def localise(dataset, open_vit, results, rules, sizes, limit=None, **options):
    """Score ``rules`` and the two baselines at each input size; what ``results`` holds already is
    not run again.

    Boxes are tight (no padding), as the measures of the literature want them; the cropper itself
    adds 5 %.

    Args:
        dataset: with boxes, and a ``split``. limit: as for `find_in_dataset`.
        open_vit: function of the input size that returns the ViT.
        results: `Results`, filled size by size. sizes: sides in pixels.
        rules: names in `response.RULES` or `FITTED_RULES`.
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
                f"this run has {count}; choose another --out."
            )
    for size in sizes:
        todo = [rule for rule in rules if not results.has(f"{rule}@{size}", 0, split)]
        if len(todo) < len(rules):
            done = len(rules) - len(todo)
            logger.info(f"{size} pixels: skipping {done} rules that {results.path} holds.")
        if not todo:
            continue
        vit = open_vit(size)
        cropper, patch = ViTCropper(vit, padding=0.0, input_size=size), vit.patch_embed.patch_size
        if size % patch[0]:
            raise InputError(
                f"--input-size must be a multiple of the ViT's patch, {patch[0]} pixels, "
                f"got {size}."
            )
        found = find_in_dataset(cropper, dataset, todo, limit, **options)
        flops, rows, arrays = _flops(vit, size), [], {}
        for rule, values in found.items():
            baseline = rule in BASELINES
            name = rule if baseline else f"{rule}@{size}"
            if not results.has(name, 0, split):
                arrays |= {f"{name}/{split}/{key}": array for key, array in values.items()}
                row = dict(configuration=name, split=split, flops=0 if baseline else flops)
                rows += [
                    dict(row, metric=metric, value=value, n=n)
                    for metric, (value, n) in measure(values).items()
                ]
        results.add(rows, arrays)
        logger.info(f"{size} pixels: {len(todo)} rules scored on {count} images.")


@torch.no_grad()
def _flops(vit, size):
    """FLOPs of one forward pass."""
    image = torch.zeros(1, 3, size, size, device=next(vit.parameters()).device)
    return count_flops(lambda: vit.forward_features(image))


def by_run(rows):
    """Rows by what was scored: dict (configuration, split) -> dict metric -> `Row`, in the file's
    order.
    """
    runs = {}
    for row in rows:
        runs.setdefault((row.configuration, row.split), {})[row.metric] = row
    return runs


def stored_scores(rows):
    """`Score` rows from `Row`s, in the file's order; NaN where a rule has no such number."""
    values = {
        run: {metric: (row.value, row.n) for metric, row in mine.items()}
        for run, mine in by_run(rows).items()
    }
    return [_score(split, *name.split("@"), values=v) for (name, split), v in values.items()]
