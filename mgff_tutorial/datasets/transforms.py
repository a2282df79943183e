"""From a PIL image of any size to the normalised square that a model takes, and boxes along with
it.

Paper: resize to 512 x 512, random 384 crop and flip in training, centre crop in test. For another
input size the resize keeps that ratio (96 is cropped from 128). The resize to a square ignores the
aspect ratio, as the paper does. All transforms are torchvision's (v2), so boxes can follow the
picture: see `transform_with_box`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from ..support.errors import InputError, check_name, check_number, check_three, unknown_name
from ..support.images import exif_orientation, upright_box, upright_rgb

HALF = (0.5, 0.5, 0.5)  # mean and std of the nano models
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAPER_RATIO = 512 / 384  # resize : crop


def enough_pixels(img_size: int, resize: int = 0) -> int:
    """Pixels of a photograph's shorter side that its first look and a sharp crop of an object of a
    quarter of its side need; see `support.images.open_image`.
    """
    return max(512, 4 * img_size, 2 * resize)


def default_resize(img_size: int) -> int:
    """Side that images are resized to before the crop: 512 for 384, and in that ratio for other
    sizes.
    """
    return round(check_number("img_size", img_size, 1) * PAPER_RATIO)


def train_transform(
    img_size: int = 384,
    resize: int | None = None,
    mean: Sequence[float] = HALF,
    std: Sequence[float] = HALF,
    interpolation: str = "bilinear",
    crop: str = "random",
    scale: Sequence[float] = (0.3, 1.0),
    flip: float = 0.5,
    colour_jitter: float = 0.0,
    erase: float = 0.0,
) -> Callable[..., torch.Tensor]:
    """Training transform: PIL image to a float tensor (3, img_size, img_size), normalised.

    Args:
        img_size: side of the model's input in pixels.
        resize: side of the square that the image is resized to first; `default_resize` if not
            given.
        mean, std: of the model's pretraining, three numbers each (see `transforms_for`).
        interpolation: ``"nearest"``, ``"bilinear"`` (paper's code is silent; torchvision's default)
            or ``"bicubic"``.
        crop: ``"random"`` (the paper: a crop of ``img_size`` at a random place of the resized
            image) or ``"resized"`` (a random part of the original, enlarged: the ImageNet habit,
            stronger augmentation).
        scale: for ``crop="resized"``, range of the part's share of the image area.
        flip: probability of a horizontal flip.
        colour_jitter: strength of random brightness, contrast and saturation (0 is off).
        erase: probability of erasing a random rectangle.

    Raises:
        InputError: a size, probability or name is not usable.
    """
    img_size, resize, mode = _check(img_size, resize, mean, std, interpolation)
    for name, value in (("flip", flip), ("erase", erase)):
        check_number(name, value, 0, 1)
    check_number("colour_jitter", colour_jitter, 0)
    if not (
        isinstance(scale, (tuple, list))
        and len(scale) == 2
        and 0
        < check_number("the lower scale", scale[0], 0, 1)
        <= check_number("the upper scale", scale[1], 0, 1)
    ):
        raise InputError(
            f"scale must be two shares of the area with 0 < low <= high <= 1, got {scale!r}."
        )
    if crop == "random":
        steps = [v2.Resize((resize, resize), mode, antialias=True), v2.RandomCrop(img_size)]
    elif crop == "resized":
        steps = [
            v2.RandomResizedCrop(img_size, scale=tuple(scale), interpolation=mode, antialias=True)
        ]
    else:
        raise unknown_name("crop", crop, ["random", "resized"])
    if flip:
        steps.append(v2.RandomHorizontalFlip(flip))
    if colour_jitter:
        steps.append(v2.ColorJitter(colour_jitter, colour_jitter, colour_jitter))
    steps += [*_numbers(), *_normalised(mean, std)]
    if erase:
        steps.append(v2.RandomErasing(erase))
    return v2.Compose([_picture, *steps])


def eval_transform(
    img_size: int = 384,
    resize: int | None = None,
    mean: Sequence[float] = HALF,
    std: Sequence[float] = HALF,
    interpolation: str = "bilinear",
) -> Callable[..., torch.Tensor]:
    """Test transform: resize to a square, centre crop, normalise. ``resize=img_size`` keeps the
    whole image.

    Arguments, result and errors as in `train_transform`.
    """
    img_size, resize, mode = _check(img_size, resize, mean, std, interpolation)
    # Numbers first: pixels rounded after the resize would differ from those of
    # `TwoStageClassifier`'s first stage.
    steps = [v2.Resize((resize, resize), mode, antialias=True), _within_range]
    if resize > img_size:
        steps.append(v2.CenterCrop(img_size))
    return v2.Compose([_picture, *_numbers(), *steps, *_normalised(mean, std)])


def _within_range(image, *boxes):
    """Bicubic interpolation may overshoot."""
    image = image.clamp_(0, 1)
    return (image, *boxes) if boxes else image


def _picture(image, *boxes):
    """The first step of every transform: an RGB picture, whatever its mode; anything else is
    refused, not passed on.

    EXIF orientation is applied where no box comes along (`transform_with_box` turns both).
    """
    if isinstance(image, Image.Image):
        if image.mode != "RGB" or not boxes and exif_orientation(image) != 1:
            image = upright_rgb(image)
    elif not isinstance(image, torch.Tensor) or image.ndim != 3 or image.shape[0] != 3:
        got = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
        raise TypeError(f"image must be a PIL image or a tensor of shape (3, H, W), got {got}.")
    return (image, *boxes) if boxes else image


def model_config(model: torch.nn.Module) -> dict[str, Any]:
    """Mean, std, input size and interpolation of a model, from its ``pretrained_cfg`` or
    ``default_cfg``.

    Returns:
        dict with ``mean``, ``std``, ``img_size`` and ``interpolation``, ready for
        `train_transform`.

    Raises:
        InputError: the model carries no such configuration.
    """
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    if not config:
        raise InputError(
            f"{type(model).__name__} has no pretrained_cfg with mean and std; pass mean and "
            f"std yourself."
        )
    config = config if isinstance(config, dict) else vars(config)
    size = config.get("input_size") or (3, 224, 224)
    mode = config.get("interpolation") or "bilinear"
    return {
        "mean": tuple(config.get("mean") or IMAGENET_MEAN),
        "std": tuple(config.get("std") or IMAGENET_STD),
        "img_size": int(size[-1]),
        "interpolation": mode if mode in _MODES else "bilinear",
    }


def transforms_for(
    model: torch.nn.Module, train: bool = False, **options: Any
) -> Callable[..., torch.Tensor]:
    """`train_transform` or `eval_transform` with the mean, std, size and interpolation of
    ``model``, as timm does it.

    ``options`` are passed on and override the model's configuration. What `train`, `evaluate`,
    `predict` and `TwoStageClassifier` do differs in one point: they resize bilinearly whatever the
    model's own interpolation is (for most it is bicubic), as all stored results and cards were
    measured. ``interpolation="bilinear"`` gives exactly their pictures.
    """
    return (train_transform if train else eval_transform)(**{**model_config(model), **options})


def transform_with_box(transform, image, box):
    """Apply a transform of this module to a picture and a box at once, with the same random
    choices.

    Args:
        transform: from `train_transform` or `eval_transform`.
        image: PIL image.
        box: xyxy pixels of ``image``.

    Returns:
        (tensor (3, S, S), box as float tensor (4,), clipped to the S x S pixels of the tensor).
    """
    if not isinstance(image, Image.Image):
        raise TypeError(f"image must be a PIL image, got {type(image).__name__}.")
    corners = _boxes(box).reshape(-1, 4)
    if len(corners) != 1:
        raise InputError(f"box must be one box of four numbers, got {_describe(box)}.")
    turn = exif_orientation(image)
    if turn != 1:
        corners = torch.as_tensor(
            upright_box(corners[0], image.size, turn), dtype=torch.float32
        ).reshape(1, 4)
        image = upright_rgb(image)
    width, height = image.size
    boxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=(height, width))
    tensor, boxes = transform(image, boxes)
    return tensor, boxes.as_subclass(torch.Tensor).reshape(4)


def box_to_input(box, image_size, img_size=384, resize=None):
    """Where boxes of an image lie in the model's input after `eval_transform`, not clipped.

    Args:
        box: (..., 4) xyxy pixels of the image.
        image_size: (width, height) of the image.
        img_size, resize: as given to `eval_transform`.

    Returns:
        float tensor (..., 4), xyxy pixels of the input; parts that the centre crop removes are
        outside 0 to img_size.
    """
    scale, margin = _eval_geometry(image_size, img_size, resize)
    return _boxes(box) * scale - margin


def box_to_image(box, image_size, img_size=384, resize=None):
    """The inverse of `box_to_input`: from pixels of the model's input to pixels of the image."""
    scale, margin = _eval_geometry(image_size, img_size, resize)
    return (_boxes(box) + margin) / scale


def denormalise(
    images: torch.Tensor,
    mean: Sequence[float] | torch.Tensor = HALF,
    std: Sequence[float] | torch.Tensor = HALF,
) -> torch.Tensor:
    """Undo the normalisation: (..., 3, H, W) tensor back to the range 0 to 1, for showing."""
    if not (
        isinstance(images, torch.Tensor)
        and images.is_floating_point()
        and images.ndim >= 3
        and images.shape[-3] == 3
    ):
        raise InputError(f"images must be a float tensor (..., 3, H, W), got {_describe(images)}.")
    for name, values in (("mean", mean), ("std", std)):
        check_three(
            name, values.tolist() if isinstance(values, (torch.Tensor, np.ndarray)) else values
        )
    mean, std = (
        torch.as_tensor(values, dtype=images.dtype, device=images.device).reshape(3, 1, 1)
        for values in (mean, std)
    )
    return (images * std + mean).clamp(0, 1)


_MODES = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}


def _eval_geometry(image_size, img_size, resize):
    img_size, resize, _ = _check(img_size, resize, HALF, HALF, "bilinear")
    try:
        width, height = (float(side) for side in image_size)
        if not (width >= 1 and height >= 1):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            f"image_size must be (width, height) in pixels, got {image_size!r}."
        ) from None
    scale = torch.tensor([resize / width, resize / height] * 2, dtype=torch.float32)
    # torchvision rounds the margin of the centre crop half to even, and so must the box.
    return scale, float(round((resize - img_size) / 2))


def _boxes(box):
    """A float tensor (..., 4) on the CPU, or an InputError."""
    try:
        corners = torch.as_tensor(
            np.asarray(
                box.detach().cpu() if isinstance(box, torch.Tensor) else box, dtype=np.float32
            )
        )
    except (TypeError, ValueError):
        corners = torch.zeros(0)
    if corners.ndim == 0 or corners.shape[-1] != 4:
        raise InputError(
            f"box must hold x0, y0, x1, y1 in its last dimension, got {_describe(box)}."
        )
    return corners


def _describe(value):
    shape = getattr(value, "shape", None)
    return (
        f"{type(value).__name__} {value!r}"
        if shape is None
        else f"{type(value).__name__} of shape {tuple(shape)}"
    )


def _numbers():
    """A picture's grey values as numbers from 0 to 1."""
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]


def _normalised(mean, std):
    return [v2.Normalize(list(mean), list(std)), v2.ToPureTensor()]


def _check(img_size, resize, mean, std, interpolation):
    """Usable (img_size, resize, torchvision mode), or an InputError."""
    check_number("img_size", img_size, 1, whole=True)
    resize = (
        default_resize(img_size)
        if resize is None
        else check_number("resize", resize, 1, whole=True)
    )
    if resize < img_size:
        raise InputError(f"resize must be at least img_size ({img_size}), got {resize}.")
    check_three("mean", mean)
    if min(check_three("std", std)) <= 0:
        raise InputError(f"std must be three numbers above 0, got {std!r}.")
    mode = _MODES[check_name("interpolation", interpolation, _MODES)]
    return int(img_size), int(resize), mode
