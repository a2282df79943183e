"""Classify the whole image, find the object, classify its crop, merge: the two stages of the MGFF
paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from PIL import Image
from torch import nn

from .cropper import ViTCropper, crop_batch, default_cfg, resize
from .support.errors import InputError, check_choice, check_number, check_three
from .support.images import upright_rgb
from .support.modes import evaluation_mode
from .support.shapes import check_tensor, to_pair

MERGES = ("probabilities", "logits")


@dataclass
class TwoStageResult:
    """What `TwoStageClassifier.predict` found in B images.

    Attributes:
        stage1: (B, K) class probabilities from the whole images.
        stage2: (B, K) class probabilities from the crops.
        merged: (B, K) class probabilities of both together.
        boxes: (B, 4) crops, xyxy pixels of the original (upright) images, right and bottom
            exclusive.
        response: (B, 1, h, w) response maps at the ViT's input size; None where the boxes were
            given.
        fallback: (B,) boolean, True where no object was found and stage 2 saw the whole image again
            (where the boxes
            were given: True where a box is the whole image).
    """

    stage1: torch.Tensor
    stage2: torch.Tensor
    merged: torch.Tensor
    boxes: torch.Tensor
    response: torch.Tensor | None
    fallback: torch.Tensor

    def __len__(self) -> int:
        return len(self.stage1)


class TwoStageClassifier(nn.Module):
    """The whole system of the paper: one classifier, asked twice, with a frozen ViT that points in
    between.

    Args:
        classifier: model that maps (B, 3, S, S) normalised images to (B, K) logits.
        cropper: a `ViTCropper`.
        weight: share of stage 2 in the merged prediction, 0 to 1. (Paper: "merged"; reading: 0.5.)
        merge: ``"probabilities"`` (mean of the two softmax vectors) or ``"logits"`` (softmax of the
            mean logits).
        input_size: side, or (height, width), of the classifier's input; None: from its
            ``pretrained_cfg``.
        mean, std: normalisation of the classifier's input, three numbers each; None: from its
            ``pretrained_cfg``.
        resize: None: stage 1 sees the whole image. A side: stage 1 sees the centre crop of the
            image resized to that square, as `transforms.eval_transform` does; tensors of the input
            size are taken as they are.

    Raises:
        InputError: an argument out of range, or a classifier that names no input size.
    """

    def __init__(
        self,
        classifier: nn.Module,
        cropper: ViTCropper,
        weight: float = 0.5,
        merge: str = "probabilities",
        input_size: int | tuple[int, int] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        resize: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cropper, ViTCropper):
            raise TypeError(f"cropper: expected a ViTCropper, got {type(cropper).__name__}.")
        check_number("weight", weight, 0, 1)
        check_choice("merge", merge, MERGES)
        cfg = default_cfg(classifier)
        if input_size is None:
            if "input_size" not in cfg:
                raise InputError(
                    f"input_size: {type(classifier).__name__} has no pretrained_cfg that names "
                    f"its input "
                    "size; pass the side in pixels."
                )
            input_size = cfg["input_size"][-2:]
        self.classifier, self.cropper = classifier, cropper
        self.weight, self.merge = float(weight), merge
        self.input_size = to_pair(input_size, "input_size")
        self.mean = check_three(
            "mean", cfg.get("mean") or (0.5, 0.5, 0.5) if mean is None else mean
        )
        self.std = check_three("std", cfg.get("std") or (0.5, 0.5, 0.5) if std is None else std)
        if min(self.std) <= 0:
            raise InputError(f"std must be three numbers above 0, got {std!r}.")
        if resize is not None:
            check_number("resize", resize, max(self.input_size), whole=True)
        self.resize = resize

    def predict(
        self,
        images: Image.Image | torch.Tensor | Sequence[Image.Image | torch.Tensor],
        batch_size: int = 64,
        boxes: torch.Tensor | None = None,
    ) -> TwoStageResult:
        """Both stages for any number of images. Several threads may share one classifier.

        Args:
            images: a PIL image, a (B, 3, H, W) or (3, H, W) tensor normalised for the classifier,
                or a sequence that mixes PIL images and (3, H, W) tensors of any sizes. EXIF
                orientation of PIL images is honoured.
            batch_size: images that go through the models together; changes memory and speed, not
                the result.
            boxes: (B, 4) xyxy pixels of the upright images, to crop in place of what the ViT finds
                (boxes found earlier, or annotated ones); the ViT is not asked then.

        Returns:
            `TwoStageResult`, tensors on the classifier's device.

        Raises:
            InputError, TypeError: something that is no image; no image at all; boxes that are not
                one an image.
        """
        images = _as_list(images)
        boxes = None if boxes is None else _as_boxes(boxes, len(images))
        check_number("batch_size", batch_size, 1, whole=True)
        with evaluation_mode(self), torch.no_grad():
            parts = [
                self._predict_batch(
                    images[i : i + batch_size],
                    None if boxes is None else boxes[i : i + batch_size],
                )
                for i in range(0, len(images), batch_size)
            ]
        return TwoStageResult(
            **{
                f.name: _joined([getattr(part, f.name) for part in parts])
                for f in fields(TwoStageResult)
            }
        )

    forward = predict

    def _predict_batch(self, images, boxes=None):
        parameter = next(self.classifier.parameters(), torch.zeros(0))
        device = parameter.device
        pixels = [self._pixels(image, device) for image in images]
        found = self.cropper.find(pixels) if boxes is None else None
        boxes = boxes if found is None else found.boxes
        whole = torch.tensor([[0, 0, p.shape[-1], p.shape[-2]] for p in pixels], dtype=boxes.dtype)
        views1 = self._normalise(torch.stack([self._first_view(p) for p in pixels]))
        views2 = self._normalise(crop_batch(pixels, boxes, self.input_size))
        same = torch.isclose(boxes, whole, atol=1e-3, rtol=0).all(dim=1).to(device)
        views2 = torch.where(
            same[:, None, None, None], views1, views2
        )  # the whole image: the same view as in stage 1
        logits1, logits2 = (
            self.classifier(v.to(parameter.dtype)).float() for v in (views1, views2)
        )
        stage1, stage2 = logits1.softmax(dim=1), logits2.softmax(dim=1)
        return TwoStageResult(
            stage1,
            stage2,
            self._merge(stage1, stage2, logits1, logits2),
            boxes.to(device),
            None if found is None else found.response.to(device),
            same if found is None else found.fallback.to(device),
        )

    def _merge(self, stage1, stage2, logits1, logits2):
        if self.merge == "logits":
            return torch.lerp(logits1, logits2, self.weight).softmax(dim=1)
        return torch.lerp(stage1, stage2, self.weight)

    def _first_view(self, pixels):
        """(3, *input_size): what stage 1 sees of an image (3, H, W)."""
        if self.resize is None or tuple(pixels.shape[-2:]) == self.input_size:
            return resize(pixels, self.input_size)
        large = resize(pixels, (self.resize, self.resize))
        top, left = (round((self.resize - side) / 2) for side in self.input_size)
        return large[:, top : top + self.input_size[0], left : left + self.input_size[1]]

    def _pixels(self, image, device):
        """A PIL image or normalised tensor as (3, H, W) float32 in 0 to 1, at its own size."""
        if isinstance(image, Image.Image):
            from torchvision.transforms.v2 import functional as tv

            return tv.to_dtype(
                tv.to_image(upright_rgb(image)).as_subclass(torch.Tensor), scale=True
            ).to(device)
        check_tensor("images: each that is no PIL image", image, (3, "H", "W"))
        mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (self.mean, self.std))
        return image.detach().to(device, torch.float32) * std + mean

    def _normalise(self, batch):
        mean, std = (
            torch.tensor(v, device=batch.device)[:, None, None] for v in (self.mean, self.std)
        )
        return (batch - mean) / std


def _as_list(images):
    if isinstance(images, Image.Image) or getattr(images, "ndim", 0) == 3:
        images = [images]
    if not isinstance(images, (Sequence, torch.Tensor)) or isinstance(images, str):
        raise TypeError(
            f"images: expected PIL images or normalised float tensors, got {type(images).__name__}."
        )
    images = list(images)
    if not images:
        raise InputError("images: got none; accepted: at least one image.")
    return images


def _as_boxes(boxes, count):
    """(count, 4) finite boxes as a float32 tensor on the CPU."""
    try:
        boxes = torch.as_tensor(boxes).detach().cpu().float()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"boxes: expected {count} boxes of four numbers, got {type(boxes).__name__}."
        ) from None
    if boxes.shape != (count, 4):
        raise InputError(
            f"boxes: expected shape ({count}, 4), one box per image, got {tuple(boxes.shape)}."
        )
    return boxes


def _joined(parts):
    return None if parts[0] is None else torch.cat(parts)
