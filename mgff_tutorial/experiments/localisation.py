"""Is the box on the bird? Scores of localisation rules against true boxes and part locations.

Measures of the literature: mean intersection over union (IoU), share of images with IoU above 0.5
("GT-known localisation", "CorLoc"), and the pointing game (Zhang et al., 2018) on parts: is the
highest point of the response map inside the object's box, and how many of the visible parts does
the crop keep? Two baselines that look at no image, `full_image` and `central_box`, show what a
number is worth. `localisation_study` stores such scores.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..cropper import ViTCropper
from ..response import RULES, get_rule, record_attention
from ..support.errors import InputError

BASELINES = ("full_image", "central_box")


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
    sizes = torch.as_tensor(sizes, dtype=torch.float32)
    return torch.cat([torch.zeros_like(sizes), sizes], dim=1)


def central_box(sizes, share=0.7):
    """A box in the middle with ``share`` of each side: (N, 4) for (N, 2) sizes (width, height)."""
    sizes = torch.as_tensor(sizes, dtype=torch.float32)
    return torch.cat([sizes * (1 - share) / 2, sizes * (1 + share) / 2], dim=1)


@dataclass
class Found:
    """One image under one rule: ``box`` (xyxy pixels of the image), IoU, peak on the object, parts
    kept.
    """

    image: int
    rule: str
    box: tuple
    iou: float
    peak_in_box: float  # 1 or 0; NaN for the baselines, which have no peak
    parts_kept: float  # share of visible parts inside the box; NaN without parts


@dataclass
class Score:
    """One row of a localisation table; ``input_size`` is the ViT's, 0 for the baselines."""

    data: str
    split: str
    rule: str
    input_size: int
    padding: float
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
        pictures: sequence of PIL images (opened one batch at a time).
        boxes: (N, 4) true boxes, xyxy pixels.
        parts: for each image an array (P, 2) of visible part locations in pixels, or None.
        rules: names in `response.RULES`.
        progress: show a bar.

    Returns:
        list of `Found`, one for each image and rule.
    """
    from torchvision.transforms.v2 import functional as tv
    from tqdm.auto import tqdm

    boxes = torch.as_tensor(boxes, dtype=torch.float32)
    if len(boxes) != len(pictures):
        raise InputError(
            f"boxes: got {len(boxes)} for {len(pictures)} images; accepted: one for each."
        )
    rules = {name: get_rule(name) for name in rules}
    depth = len(cropper.vit.blocks)
    last = (
        None
        if any(r.last is None for r in rules.values())
        else min(depth, max(r.last for r in rules.values()))
    )
    mean, std = (torch.tensor(v)[:, None, None] for v in (cropper.mean, cropper.std))
    parameter, found = next(cropper.vit.parameters()), []
    for start in tqdm(
        range(0, len(pictures), batch_size), disable=not progress, desc="localising", leave=False
    ):
        batch, sizes = [], []
        for i in range(start, min(start + batch_size, len(pictures))):
            picture = pictures[i].convert("RGB")
            sizes.append(picture.size)
            pixels = tv.to_dtype(tv.to_image(picture).as_subclass(torch.Tensor), scale=True)
            batch.append(
                F.interpolate(pixels[None], cropper.input_size, mode="bilinear", antialias=True)[0]
            )
        sizes = torch.tensor(sizes, dtype=torch.float32)
        x = ((torch.stack(batch) - mean) / std).to(parameter.device, parameter.dtype)
        with torch.no_grad():
            record = record_attention(cropper.vit, x, last)
        guesses = {
            "full_image": (full_image(sizes), None),
            "central_box": (central_box(sizes), None),
        }
        for name, rule in rules.items():
            guesses[name] = _boxes_of(record, rule, cropper, sizes)
        for name, (guess, peak) in guesses.items():
            found += _judge(name, guess, peak, start, boxes, parts)
    return found


def _boxes_of(record, rule, cropper, sizes):
    """(B, 4) boxes and (B, 2) peaks of one rule, in pixels of the original images."""
    kept = record if rule.last is None else _last_layers(record, rule.last)
    found = cropper.locate(
        rule.weigh(kept).float().unflatten(1, record.grid), cropper.input_size, rule.tau
    )
    height, width = cropper.input_size
    scale = sizes / sizes.new_tensor([width, height])
    peak = found.response.flatten(1).argmax(dim=1).cpu()
    return found.boxes.cpu() * scale.repeat(1, 2), torch.stack(
        [peak % width, peak // width], dim=1
    ) * scale


def _last_layers(record, last):
    return type(record)(
        record.layers[-last:], record.tokens, record.prefix, record.grid, record.has_class_token
    )


def _judge(name, guess, peak, start, boxes, parts):
    """`Found` for each image of a batch that begins at image ``start``."""
    truth, rows = boxes[start : start + len(guess)], []
    for j, iou in enumerate(box_iou(guess, truth).tolist()):
        kept = float("nan")
        if parts is not None:
            kept = share_inside(torch.as_tensor(parts[start + j], dtype=torch.float32), guess[j])
        hit = float("nan") if peak is None else _inside(peak[j : j + 1], truth[j]).float().item()
        rows.append(Found(start + j, name, tuple(guess[j].tolist()), iou, hit, kept))
    return rows


def share_inside(points, box):
    """Share of (P, 2) points that a box (xyxy, the same unit) holds, its border included; NaN
    without points.
    """
    return _inside(points, box).float().mean().item() if len(points) else float("nan")


def _inside(points, box):
    return ((points >= box[:2]) & (points <= box[2:])).all(dim=1)


def summarise(found, data="", split="", input_size=0, padding=0.0):
    """One `Score` a rule, in the order in which the rules appear."""
    rows = []
    for rule in dict.fromkeys(f.rule for f in found):
        mine = [f for f in found if f.rule == rule]
        iou = torch.tensor([f.iou for f in mine], dtype=torch.float64)
        peak, kept = (
            torch.tensor([getattr(f, n) for f in mine], dtype=torch.float64).nanmean().item()
            for n in ("peak_in_box", "parts_kept")
        )
        baseline = rule in BASELINES
        rows.append(
            Score(
                data,
                split,
                rule,
                0 if baseline else input_size,
                0.0 if baseline else padding,
                len(mine),
                iou.mean().item(),
                (iou > 0.5).double().mean().item(),
                peak,
                kept,
            )
        )
    return rows


def read_scores(path):
    """The `Score` rows of a results file that ``ablate --experiment localisation`` wrote, see
    `localisation_study`.

    Raises:
        DataError: the file is missing, damaged or of another version.
    """
    from .localisation_study import stored_scores
    from .results import read_rows

    return stored_scores(read_rows(path))


def score_dataset(
    vit, dataset, rules=tuple(RULES), input_size=None, padding=0.0, limit=None, data="", **options
):
    """Scores of ``rules`` on a data set with boxes: list of `Score`.

    Args:
        vit: a timm ViT, or its name.
        dataset: a data set of this package without transform, with ``boxes`` (CUB200, NABirds,
            SketchBirds).
        limit: take every (len / limit)-th image only.
        padding: 0 measures the tight box; the cropper's own default is 0.05.
        options: ``batch_size``, ``progress``.
    """
    cropper = ViTCropper(vit, padding=padding, input_size=input_size)
    found = find_in_dataset(cropper, dataset, rules, limit, **options)
    return summarise(found, data, getattr(dataset, "split", ""), max(cropper.input_size), padding)


def find_in_dataset(cropper, dataset, rules, limit=None, **options):
    """`find_objects` on a data set with boxes, or on every (len / limit)-th of its images: list of
    `Found`.
    """
    if getattr(dataset, "boxes", None) is None:
        raise InputError(f"dataset: {type(dataset).__name__} has no boxes to score against.")
    step = 1 if not limit else max(1, len(dataset) // limit)
    chosen = list(range(0, len(dataset), step))[:limit]
    return find_objects(
        cropper,
        Pictures(dataset, chosen),
        dataset.boxes[chosen],
        _visible_parts(dataset, chosen),
        rules,
        **options,
    )


class Pictures:
    """PIL images of a data set, or of the ``chosen`` indices, as a sequence; each is opened when
    asked for.
    """

    def __init__(self, dataset, chosen=None):
        self.dataset, self.chosen = dataset, range(len(dataset)) if chosen is None else chosen

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, i):
        return self.dataset.image(self.chosen[i])


def _visible_parts(dataset, chosen):
    parts = getattr(dataset, "parts", None)
    if parts is None:
        return None
    parts = [torch.as_tensor(parts[i], dtype=torch.float32) for i in chosen]
    return [p[p[:, 2] > 0, :2] for p in parts]
