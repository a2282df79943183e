"""From a response map to a box, and from a box to an enlarged view of the original image.

MGFF paper, section 3.4: threshold the map, keep the largest connected component, take its box,
crop, enlarge. The crop comes from the original image, so stage 2 sees pixels that the small input
of stage 1 had thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite

import numpy as np
import timm
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import nn

from .response import check_vit, class_row, enlarge, get_rule, rule_of, weigh
from .support.errors import InputError, check_number, unknown_name
from .support.fetch import no_weights, published_weights
from .support.shapes import check_tensor, to_pair

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


def otsu(values):
    """Otsu's threshold of each row of (B, N) values: (B, 1), the cut that separates two classes
    best.

    Exact, without a histogram: of all N - 1 ways to cut the sorted row in two, the one with the
    largest variance between the classes; the threshold is midway between the neighbours of the cut.
    """
    ordered = values.double().sort(dim=1).values
    count = ordered.shape[1]
    if count < 2:
        return values.clone()
    below = torch.arange(1, count, device=values.device, dtype=torch.float64)
    total = ordered.cumsum(dim=1)
    mean_below = total[:, :-1] / below
    mean_above = (total[:, -1:] - total[:, :-1]) / (count - below)
    cut = (below * (count - below) * (mean_above - mean_below) ** 2).argmax(dim=1, keepdim=True)
    return ((ordered.gather(1, cut) + ordered.gather(1, cut + 1)) / 2).to(values.dtype)


def largest_component(mask):
    """The largest 8-connected component of each (B, H, W) boolean NumPy mask, same shape; empty
    stays empty.
    """
    kept = np.zeros_like(mask)
    for i, one in enumerate(mask):
        labels, count = ndimage.label(one, structure=EIGHT_NEIGHBOURS)
        if count:
            kept[i] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return kept


def box_of(mask):
    """Tight boxes of (B, H, W) boolean NumPy masks: (B, 4) xyxy pixels, right and bottom exclusive;
    empty: zeros.
    """
    boxes = np.zeros((len(mask), 4), dtype=np.float32)
    for i, one in enumerate(mask):
        rows, columns = np.flatnonzero(one.any(axis=1)), np.flatnonzero(one.any(axis=0))
        if len(rows):
            boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def pad_boxes(boxes, padding, height, width):
    """Enlarge (B, 4) xyxy boxes by ``padding`` times their side on each side, clipped to the
    image.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    low, high = boxes[:, :2] - padding * sides, boxes[:, 2:] + padding * sides
    limit = boxes.new_tensor([width, height])
    return torch.cat([low.clamp(min=0), torch.minimum(high, limit)], dim=1)


def crop_and_resize(image, box, size):
    """Cut ``box`` out of a (C, H, W) image and enlarge it to ``size`` (height, width): (C, *size).

    The box is xyxy pixels; it is rounded outwards to whole pixels and clipped to the image.
    """
    height, width = image.shape[-2:]
    found = [float(v) for v in box]
    x0, y0, x1, y1 = found if all(isfinite(v) for v in found) else (0, 0, 0, 0)
    x0, y0 = max(0, floor(x0)), max(0, floor(y0))
    x1, y1 = min(width, ceil(x1)), min(height, ceil(y1))
    if x1 <= x0 or y1 <= y0:
        shown = [round(v, 1) for v in found]
        raise InputError(f"box: {shown} holds no pixel of a {width} x {height} image.")
    cut = image[:, y0:y1, x0:x1]
    half = cut.dtype in (torch.float16, torch.bfloat16)  # not every device interpolates these
    return resize(cut.float() if half else cut, size).to(cut.dtype)


@dataclass
class CropResult:
    """What the cropper found for a batch, in pixels of the images that it was given.

    Attributes:
        response: (B, 1, H, W) response maps.
        mask: (B, 1, H, W) boolean, the largest component; all True where it fell back.
        boxes: (B, 4) xyxy pixels with padding, right and bottom exclusive.
        fallback: (B,) boolean, True where there is nothing to cut out (the map is flat, empty or
            not finite, or the ViT is not sure enough) and the box is the whole image.
        sureness: (B,) from 0 to 1, how sure the ViT is that the mask is on an object (see
            `response.Presence`); None where that is not known.
    """

    response: torch.Tensor
    mask: torch.Tensor
    boxes: torch.Tensor
    fallback: torch.Tensor
    sureness: torch.Tensor | None = None


@dataclass(frozen=True)
class Presence:
    """How sure a ViT is that there is an object: a logistic function of two things it saw anyway.

    The parts of an object differ, while the patches of a sky, a wall or noise are alike; and the
    class token looks at an object more than at what surrounds it.

    Attributes:
        bias, likeness, focus: the weights of 1, of the mean cosine between the final tokens inside
            a mask, and of the logarithm of the class token's attention inside over outside.
        limit: below this there is nothing.
    """

    bias: float
    likeness: float
    focus: float
    limit: float

    def sureness(self, record, mask):
        """(B,) numbers from 0 to 1 for masks (B, 1, H, W); the last four blocks are read."""
        inside = F.interpolate(mask.float(), size=record.grid, mode="area").flatten(1)  # (B, N)
        outside = (1 - inside) + 1e-6
        inside = inside / inside.sum(1, keepdim=True).clamp_min(1e-6)
        outside = outside / outside.sum(1, keepdim=True)
        tokens = F.normalize(record.tokens[:, record.prefix :].float(), dim=-1)  # (B, N, C)
        # the mean of all cosines is the squared length of the mean direction
        likeness = (inside[:, None] @ tokens).square().sum((1, 2))
        looks = class_row(replace(record, layers=record.layers[-4:])).float()
        focus = ((inside * looks).sum(1) / (outside * looks).sum(1).clamp_min(1e-9)).clamp(
            1e-3, 1e3
        )
        return torch.sigmoid(self.bias + self.likeness * likeness + self.focus * focus.log())


# Fitted on 300 training birds and 425 pictures without one (backgrounds, flat, smooth, sky, noise):
# photographs for DINOv2, drawings for vit_nano. Other ViTs and other sizes: not known.
PRESENCE = {
    ("vit_small_patch14_dinov2", (224, 224)): Presence(6.13, -9.19, 0.0, 0.22),
    ("vit_nano", (192, 192)): Presence(-1.18, -10.2, 2.47, 0.38),
}


def presence_of(vit, input_size):
    """The `Presence` of a ViT by its architecture and input size, None where it is not known."""
    return PRESENCE.get((default_cfg(vit).get("architecture"), tuple(input_size)))


class ViTCropper(nn.Module):
    """Finds the object with the attention of a frozen ViT and cuts it out.

    Args:
        vit: a timm ViT, or the name of one (built with ``pretrained=True``). It is frozen and kept
            in eval mode.
        rule: how attention becomes a response map: a name in `mgff_tutorial.response.RULES` or
            `FITTED_RULES` (each for one ViT), or a `Rule`; None: the ViT's own
            (`mgff_tutorial.response.rule_of`).
        tau: threshold: a number (mask = W' > tau * mean(W')), "otsu", or None for the rule's own.
        padding: share of the box's side added on each side.
        input_size: side, or (height, width), at which the ViT looks; None: its own input size.
            Images of another size are resized for the ViT; maps and boxes are in the pixels of the
            images given.
        presence: what tells that there is nothing to cut out: a `Presence`, True for the ViT's own
            (two have one, at one size each), False for a box in every picture whose map is not
            flat.

    Raises:
        InputError: unknown rule or model, a model that is no ViT, or numbers out of range.
    """

    def __init__(
        self,
        vit: str | nn.Module,
        rule: str | None = None,
        tau: float | str | None = None,
        padding: float = 0.05,
        input_size: int | tuple[int, int] | None = None,
        presence: Presence | bool = True,
    ) -> None:
        super().__init__()
        vit = open_vit(vit) if isinstance(vit, str) else getattr(vit, "_orig_mod", vit)
        self.vit = check_vit(vit)
        self.vit.requires_grad_(False).eval()
        self.rule = get_rule(rule_of(self.vit) if rule is None else rule, self.vit)
        self.tau = self.rule.tau if tau is None else tau
        if self.tau != "otsu":
            check_number("tau, if not 'otsu',", self.tau, 0)
        check_number("padding", padding, 0, 1)
        self.padding = float(padding)
        if input_size is None:
            input_size = (
                getattr(self.vit.patch_embed, "img_size", None)
                or default_cfg(self.vit)["input_size"][-2:]
            )
        self.input_size = to_pair(input_size, "input_size")
        self.presence = presence or None
        if presence is True:
            self.presence = presence_of(self.vit, self.input_size)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean by which the ViT's inputs are normalised, one number a channel."""
        return tuple(default_cfg(self.vit).get("mean", (0.5, 0.5, 0.5)))

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation by which the ViT's inputs are normalised."""
        return tuple(default_cfg(self.vit).get("std", (0.5, 0.5, 0.5)))

    def train(self, mode: bool = True) -> "ViTCropper":
        """Sets the mode of the module, while the frozen ViT stays in eval mode."""
        super().train(mode)
        self.vit.eval()
        return self

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """The rule's number for each patch: (B, rows, columns). ``x`` as for `forward`."""
        return self._seen(x)[0]

    @torch.no_grad()
    def _seen(self, x):
        """(Weights of the patches, what the ViT left behind: a `ViTRecord`, None of no image)."""
        check_tensor("x: images", x, ("B", 3, "H", "W"))
        parameter = next(self.vit.parameters())
        x = x.detach().to(parameter.device, parameter.dtype)
        if tuple(x.shape[-2:]) != self.input_size and len(x):
            x = F.interpolate(
                x, size=self.input_size, mode="bilinear", align_corners=False, antialias=True
            )
        if not len(x):
            return x.new_zeros(0, 1, 1, dtype=torch.float32), None
        return weigh(self.vit, x, self.rule)

    def response_map(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) response maps of images ``x`` (B, 3, H, W) normalised for the ViT."""
        weights, record = self._seen(x)
        return enlarge(weights, x.shape[-2:], self._guide(record))

    def _guide(self, record):
        """The image whose edges the map follows, or None."""
        return record.image if record and self.rule.edges else None

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> CropResult:
        """Response, mask, box and fallback flag of each image: a `CropResult`.

        Args:
            x: (B, 3, H, W) float images normalised for the ViT (`mean`, `std`), any size.

        The masks cross to the CPU once a batch, not once an image.
        """
        weights, record = self._seen(x)
        found = self.locate(weights, x.shape[-2:], image=self._guide(record))
        if self.presence and record and len(record.layers) >= 4:
            found.sureness = self.presence.sureness(record, found.mask)
            self._give_up(found, found.sureness < self.presence.limit)
        return found

    def _give_up(self, found, nothing):
        """The whole image where there is ``nothing``, (B,) booleans, to cut out."""
        height, width = found.mask.shape[-2:]
        found.boxes[nothing] = found.boxes.new_tensor([0, 0, width, height])
        found.mask = found.mask | nothing[:, None, None, None]
        found.fallback = found.fallback | nothing

    def locate(
        self,
        weights: torch.Tensor,
        size: Sequence[int],
        tau: float | str | None = None,
        image: torch.Tensor | None = None,
    ) -> CropResult:
        """The steps after the rule: enlarge, threshold, largest component, box, padding.

        Args:
            weights: (B, rows, columns), one number a patch.
            size: (height, width) in pixels of the map and of the boxes.
            tau: threshold, if not the cropper's own.
            image: (B, 3, h, w), normalised, whose edges the map takes; None: it stays as it is.
        """
        height, width = size
        tau = self.tau if tau is None else tau
        response, flat = enlarge(weights, size, image), weights.flatten(1)
        limit = otsu(flat) if tau == "otsu" else tau * flat.mean(dim=1, keepdim=True)
        spread = flat.amax(dim=1) - flat.amin(dim=1) if len(flat) else flat.new_zeros(0)
        usable = flat.isfinite().all(dim=1) & (spread > 1e-6 * flat.abs().mean(dim=1))
        above = (response[:, 0] > limit[:, :, None]) & usable[:, None, None]
        mask = largest_component(above.cpu().numpy())
        boxes = pad_boxes(torch.from_numpy(box_of(mask)), self.padding, height, width)
        mask = torch.from_numpy(mask)[:, None].to(response.device)
        empty = ~mask.flatten(1).any(dim=1)
        found = CropResult(response, mask, boxes.to(response.device), torch.zeros_like(empty))
        self._give_up(found, empty)
        return found

    def boxes(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 4) boxes, xyxy pixels of ``x``, padded; the whole image where the map says
        nothing.
        """
        return self(x).boxes

    def find(self, images: Sequence[torch.Tensor]) -> CropResult:
        """The objects of images of different sizes: a `CropResult` at the ViT's input size, but
        with boxes on the CPU in the pixels of each image.

        Args:
            images: sequence of (3, H, W) float images in 0 to 1, not normalised, each of its own
                size.
        """
        for image in images:
            check_tensor("images: each", image, (3, "H", "W"))
        if not len(images):
            raise InputError("images: got none; accepted: at least one image.")
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))
        inputs = torch.stack([resize(image, self.input_size) for image in images])
        found = self((inputs - mean.to(inputs.device)) / std.to(inputs.device))
        sizes = torch.tensor(
            [[image.shape[-1], image.shape[-2]] * 2 for image in images], dtype=torch.float32
        )
        height, width = self.input_size
        found.boxes = (
            found.boxes.cpu() * sizes / sizes.new_tensor([width, height] * 2)
        )  # one synchronisation a batch
        return found

    def crop(self, x: torch.Tensor, size: int | tuple[int, int] | None = None) -> torch.Tensor:
        """The objects of ``x`` cut out and enlarged: (B, 3, *size); ``size`` is a side or (height,
        width).

        ``x`` is (B, 3, H, W), normalised for the ViT; a larger ``x`` gives sharper crops (the ViT
        sees it resized).
        """
        boxes = self.boxes(x)
        return crop_batch(x, boxes, x.shape[-2:] if size is None else size)


def crop_batch(images, boxes, size):
    """Cut box i (B, 4; xyxy pixels) out of image i ((B, C, H, W), or a list of (C, H, W)): (B, C,
    *size).
    """
    size = to_pair(size, "size")
    cuts = [crop_and_resize(image, box, size) for image, box in zip(images, boxes.tolist())]
    if cuts:
        return torch.stack(cuts)
    return (
        images.new_zeros(0, 3, *size)
        if isinstance(images, torch.Tensor)
        else torch.zeros(0, 3, *size)
    )


def resize(image, size):
    """An image (C, H, W) at another size (height, width), bilinear with antialiasing; itself if it
    has that size.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(
        image[None], size=tuple(size), mode="bilinear", align_corners=False, antialias=True
    )[0]


def default_cfg(model):
    """timm's description of a model (input size, mean, std), however old; an empty dict if it has
    none.
    """
    return dict(getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {})


def open_vit(name):
    """A ViT with its weights by name, through timm, where our own names are registered."""
    if not timm.is_model(name):
        raise unknown_name("model", name, timm.list_models())
    try:
        with published_weights():
            return timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise no_weights(name, error) from error
