"""A study: one data set, one frozen backbone, one cropper, and the heads that are compared on
them.
"""

import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import BatchSampler
from torchvision.transforms.functional import normalize
from tqdm.auto import tqdm

from ..backbones import build_backbone
from ..cropper import ViTCropper
from ..datasets import CUB200, SketchBirds
from ..datasets.base import split_validation
from ..evaluation.boxes import describe, find_boxes
from ..models import create_model
from ..renderer.dataset import IMAGES_PER_SPLIT
from ..support.checkpoints import read_metadata
from ..support.device import pick_device, seed_everything
from ..support.errors import InputError
from ..support.fast import count_flops
from ..support.images import image_geometry, upright_size
from .frozen_features import FrozenFeatures, View, boxes_as_views, cut, random_views
from .frozen_heads import FrozenHead, train_head
from .granularity_heads import GranularityHead
from .localisation import central_box

# The stored rows of the text to the letter had layer norm and GELU after the graph convolution,
# which the preset `literal` no longer has.
GRAPH_NORM = {"graph_norm": True, "graph_activation": True}
# name -> (preset of `FrozenHead`, options of MGFF). All see the same four maps, the last one being
# what the backbone's own classifier sees.
CONFIGURATIONS = {
    "baseline": ("baseline", {}),
    "mlp-control": ("mlp", {}),  # as many new parameters as MGFF, on the pooled features alone
    "mgff": ("default", {}),
    "mgff-literal": ("literal", {"last_map": "classifier", **GRAPH_NORM}),
    "mgff-no-self-attention": ("default", {"self_attention": False}),
    "mgff-no-channel-attention": ("default", {"channel_attention": False}),
    "mgff-no-graph": ("default", {"graph": False}),
    "mgff-no-granularity-0": ("default", {"granularities": (1, 2, 3)}),
    "mgff-no-granularity-1": ("default", {"granularities": (0, 2, 3)}),
    "mgff-no-granularity-2": ("default", {"granularities": (0, 1, 3)}),
    "mgff-no-granularity-3": ("default", {"granularities": (0, 1, 2)}),
}
# What lies between the default and the paper's text, one step at a time; `mgff-literal` takes them
# all.
STEPS = {
    "mgff-step-replace": (
        "default",
        {"entry": "replace"},
    ),  # the fused vector in place of the classifier's features
    "mgff-step-norms": (
        "default",
        {"align_norm": "none", "attention_norm": False, "norm_nodes": False},
    ),
    "mgff-step-residuals": (
        "default",
        {"attention_residual": False, "identity_start": False, "graph_residual": False},
    ),
}
# The text to the letter: the bare maps of four stages, as wide as the last one, which stays
# untouched; neither norm nor activation after the graph convolution.
LETTER = {"mgff-to-the-letter": ("literal", {"dim": None})}
# What the field adds (`GranularityHead`); no part of the default, and none of the paper.
SUPERVISED = {
    "mgff-nonlinear": ("default", {"supervised": False}),
    "granularities-supervised": ("baseline", {"supervised": True}),
    "mgff-supervised": ("default", {"supervised": True}),
}
HEADS = {**CONFIGURATIONS, **STEPS, **LETTER, **SUPERVISED}
VALIDATION = 0.3  # of the training images; 180 of 600


@dataclass(frozen=True)
class StudySettings:
    """What a study is run on.

    ``data`` is ``"sketchbirds"`` or a folder with CUB-200-2011 or a part of it; ``weights`` and
    ``vit_weights`` are files with pretrained weights (None: the embedded ones of the nano models,
    else timm fetches them); ``dim`` is the width of MGFF's aligned maps (None: that of the last
    map); ``training_images`` of each species are drawn birds.
    """

    data: str = "sketchbirds"
    training_images: int = IMAGES_PER_SPLIT
    backbone: str = "swin_nano"
    img_size: int = 96
    dim: int | None = None
    weights: str | None = None
    vit: str = "vit_nano"
    vit_size: int = 192
    vit_weights: str | None = None
    random_views: int = 2  # of each training image, beside the whole and its mirror image
    precision: str = "fp32"  # of the backbone
    head_precision: str = "fp32"  # of MGFF in training, and of the cropper's ViT
    device: str = "auto"

    @property
    def has_other_size(self):
        """Whether the training set of drawn birds is another than the embedded one."""
        return self.training_images != IMAGES_PER_SPLIT


class Study:
    """The images, their stored views, and the pieces that the experiments share; everything is
    computed when needed.
    """

    def __init__(self, settings):
        self.settings = settings
        self.device = pick_device(settings.device)
        self.train, self.test = (_dataset(settings, split) for split in ("train", "test"))
        self.labels = torch.tensor(self.train.labels)
        for name in (
            "frozen",
            "view",
            "boxes",
            "cost",
        ):  # computed once for each of their arguments
            setattr(self, name, cache(getattr(self, name)))
        self.features = self.frozen("classifier")
        self.backbone = self.features.backbone
        self.fit, self.validation = split_validation(self.train, VALIDATION, seed=0)

    def frozen(self, last_map):
        """`FrozenFeatures` of the backbone with one of the last maps of `build_backbone`."""
        name, size = self.settings.backbone, self.settings.img_size
        weights = _weights(name, self.settings.weights)
        backbone = build_backbone(name, size, last_map=last_map, **weights)
        return FrozenFeatures(backbone, self.settings.precision, device=self.device)

    def view(self, split, kind, last_map="classifier"):
        """Stored features of `views`: the dict of `FrozenFeatures.extract`."""
        dataset, views = getattr(self, split), self.views(split, kind)
        return self.frozen(last_map).extract(dataset, views, name=f"{split} {kind}")

    def views(self, split, kind):
        """A `View` of each image: ``"whole"``, ``"flip"``, ``"random1"``..., a kind of `boxes`,
        perhaps with ``"-flip"``.
        """
        name, flip = kind.removesuffix("flip").removesuffix("-"), kind.endswith("flip")
        if name in ("whole", ""):
            return [View(None, flip)] * len(getattr(self, split))
        if name.startswith("random"):
            return random_views(self.sizes(split), seed=int(name.removeprefix("random")))
        return boxes_as_views(self.boxes(split, name), flip=flip)

    def training_views(self, crops=False, last_map="classifier"):
        """The whole of each training image, its mirror image and random rectangles; with ``crops``,
        also the cropper's box and its mirror image.
        """
        kinds = training_kinds(self.settings.random_views, crops)
        return [self.view("train", kind, last_map) for kind in kinds]

    def sizes(self, split):
        return [upright_size(*image_geometry(path)) for path in getattr(self, split).paths]

    def boxes(self, split, kind):
        """(N, 4) xyxy pixels: ``"cropper"`` (with its padding), ``"bare"`` (without), ``"truth"``
        (annotated, padded like the cropper's) or ``"central"``."""
        dataset = getattr(self, split)
        if kind in ("cropper", "bare"):
            cropper = self.cropper(**({"padding": 0.0} if kind == "bare" else {}))
            # not resized as the cropper does
            finder = describe(cropper, "whole grey values", self.settings.head_precision)
            find = partial(self.find_boxes, cropper=cropper)
            return find_boxes(dataset, cropper, find=find, finder=finder)
        if kind == "truth":
            return np.array([view.box for view in boxes_as_views(dataset.boxes, padding=0.05)])
        if kind == "central":
            return central_box(np.array(self.sizes(split), dtype=float)).numpy()
        raise InputError(f"kind must be 'cropper', 'bare', 'truth' or 'central', got {kind!r}.")

    def cropper(self, **options):
        """The frozen ViT cropper with its default rule and threshold; ``options`` of
        `ViTCropper`.
        """
        size = self.settings.vit_size
        vit = open_vit(self.settings.vit, size, self.settings.vit_weights)
        return ViTCropper(vit.to(self.device), input_size=size, **options)

    def find_boxes(self, images, cropper, batch_size=16):
        """Boxes that the cropper finds in PIL images: (N, 4) xyxy pixels of the images."""
        size, boxes = self.settings.vit_size, []
        bf16 = self.settings.head_precision == "bf16"
        batches = BatchSampler(range(len(images)), batch_size, drop_last=False)
        for indices in tqdm(batches, desc="cropping", unit="batch", leave=False):
            pictures = [images[i] for i in indices]
            batch = torch.stack([cut(picture, View(), size) for picture in pictures])
            batch = normalize(batch, cropper.mean, cropper.std)
            scale = np.array([[picture.width, picture.height] * 2 for picture in pictures]) / size
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                boxes.append(cropper.boxes(batch.to(self.device)).cpu().numpy() * scale)
        return np.concatenate(boxes)

    def head(self, configuration, seed):
        """A fresh head of one of `HEADS`; heads of the same seed start with the same classifier."""
        preset, options = HEADS[configuration]
        backbone = self.frozen(last_map_of(configuration)).backbone
        channels, grids = backbone.channels, backbone.grids
        if (
            preset == "mlp"
        ):  # two matrices between the width and the hidden units: as many parameters as MGFF
            mgff = self.head("mgff", seed).mgff
            options = {
                "hidden": round(sum(p.numel() for p in mgff.parameters()) / (2 * channels[-1]))
            }
        elif preset != "baseline":
            options = {"dim": self.settings.dim, **options}
        kind = GranularityHead if configuration in SUPERVISED else FrozenHead
        seed_everything(seed)
        return kind(channels, grids, len(self.train.classes), preset, **options)

    def trained(self, configuration, recipe, seed, indices=None, crops=False):
        """A head trained on all training images, or on those of ``indices``."""
        head = self.head(configuration, seed)
        indices = range(len(self.train)) if indices is None else indices
        bf16 = self.settings.head_precision == "bf16" and head.mgff is not None
        views = self.training_views(crops, last_map_of(configuration))
        return train_head(head, views, self.labels, indices, recipe, seed, bf16)

    def cost(self, configuration):
        """Parameters that are trained, FLOPs and seconds an image, backbone included (one thread's
        CPU time).
        """
        return median_cost(self.costs([configuration])[configuration])

    def costs(self, configurations, rounds=7):
        """Parameters that are trained, FLOPs and times of several configurations, measured in turn
        (`measure_costs`).
        """
        heads = {name: self.head(name, 0).eval() for name in configurations}

        def run(name, x):
            backbone = self.frozen(last_map_of(name)).backbone
            maps, final = backbone.forward_features(x)
            return heads[name]([m.cpu() for m in maps], backbone.pool(final).cpu())

        runs = {name: partial(run, name) for name in heads}
        found = measure_costs(runs, self.backbone.img_size, self.device, rounds)
        return {
            name: {"params": sum(p.numel() for p in heads[name].parameters()), **cost}
            for name, cost in found.items()
        }


def training_kinds(random_views, crops=False):
    """Names of the views of `Study.training_views`."""
    randoms = [f"random{i + 1}" for i in range(random_views)]
    return ["whole", "flip", *randoms, *(["cropper", "cropper-flip"] if crops else [])]


def last_map_of(configuration):
    """Which last map a head of `HEADS` sees: the ``"classifier"``'s or that of the bare
    ``"stage"``.
    """
    return "stage" if configuration in LETTER else "classifier"


@torch.inference_mode()
def measure_costs(runs, img_size, device="cpu", rounds=7):
    """FLOPs and times an image of functions of images (B, 3, H, W): dict of name -> function, to
    dict of name -> dict.

    ``times`` are (rounds,) seconds of one thread's CPU time; in each round all functions take their
    turn.
    """
    image = torch.zeros(1, 3, *img_size, device=device)
    found = {
        name: {"flops": count_flops(partial(run, image)), "times": []} for name, run in runs.items()
    }
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run(image.expand(8, -1, -1, -1))
            found[name]["times"].append((time.process_time() - start) / 8)
    return {name: {**cost, "times": np.array(cost["times"])} for name, cost in found.items()}


def median_cost(cost):
    """What a row of results says of a cost: the median time stands for all rounds."""
    rest = {name: value for name, value in cost.items() if name != "times"}
    return {**rest, "seconds": round(float(np.median(cost["times"])), 5)}


def _dataset(settings, split):
    if settings.data == "sketchbirds":
        return SketchBirds(split, training_images=settings.training_images)
    return CUB200(settings.data, split)


def open_vit(name, size, weights=None):
    """A pretrained ViT for square images of ``size`` pixels; its position embeddings are resampled
    to that size.

    Args:
        name: ``"vit_nano"``, a timm name, or a checkpoint of this package whose card names the
            model.
        weights: file of pretrained weights; None: the embedded ones of vit_nano, else timm fetches
            them.
    """
    if Path(name).suffix == ".safetensors":
        name, weights = read_metadata(name).get("model"), name
    if name != "vit_nano":
        return build_backbone(name, size, **_weights(name, weights)).model
    return create_model(name, pretrained=weights or True, img_size=size)


def _weights(name, weights):
    """Options of `build_backbone` for pretrained weights, from a file or from where they usually
    come from.
    """
    if weights is None:
        return {"pretrained": True}
    if not Path(weights).is_file():
        raise InputError(
            f"{weights} is no file; pass pretrained weights in timm's names, or nothing at all."
        )
    return {"pretrained": weights}
