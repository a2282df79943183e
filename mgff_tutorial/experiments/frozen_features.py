"""Feature maps of a frozen backbone, computed once and kept on the disk, so that many heads can be
compared cheaply.

A head of MGFF's kind trains in a minute on stored maps, the backbone included it would take an hour
on two cores. What is given up is fine-tuning of the backbone; what is won is that every
configuration meets the same features, with as many seeds as an honest interval needs. Augmentation
is a handful of stored views of each image.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import BatchSampler
from torchvision.transforms import functional as TF
from tqdm.auto import tqdm

from ..datasets.transforms import model_config
from ..support.checkpoints import fingerprint
from ..support.errors import InputError
from ..support.files import write_json
from ..support.paths import cache_dir


@dataclass(frozen=True)
class View:
    """A rectangle of an image (xyxy pixels; None: the whole image), enlarged to the model's input,
    perhaps mirrored.
    """

    box: tuple | None = None
    flip: bool = False


def boxes_as_views(boxes, padding=0.0, flip=False):
    """One view a box; ``padding`` is the share of the box's side added on each side (cut off at the
    image later).
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    margin = padding * (boxes[:, 2:] - boxes[:, :2])
    boxes = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
    return [View(tuple(box), flip) for box in boxes.tolist()]


def random_views(sizes, seed, scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3)):
    """One random rectangle of each image, mirrored in half of the cases (torchvision's
    RandomResizedCrop and flip).

    Args:
        sizes: (width, height) of each image.
        seed: of this set of views; another seed gives other rectangles.
        scale: share of the image's area. ratio: width to height.
    """
    generator, views = np.random.default_rng(seed), []
    for width, height in sizes:
        area = width * height * generator.uniform(*scale)
        aspect = np.exp(generator.uniform(*np.log(ratio)))
        w, h = min(width, np.sqrt(area * aspect)), min(height, np.sqrt(area / aspect))
        x, y = generator.uniform(0, width - w), generator.uniform(0, height - h)
        views.append(View((x, y, x + w, y + h), bool(generator.random() < 0.5)))
    return views


def cut(image, view, size):
    """The pixels of a view: PIL image -> float tensor (3, size, size) in [0, 1], not yet
    normalised.
    """
    if view.box is not None:
        x0, y0, x1, y1 = view.box
        left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
        right, bottom = min(image.width, int(np.ceil(x1))), min(image.height, int(np.ceil(y1)))
        if right <= left or bottom <= top:
            raise InputError(
                f"The view {view.box} holds no pixel of an image of {image.width} x {image.height}."
            )
        image = image.crop((left, top, right, bottom))
    tensor = TF.pil_to_tensor(TF.resize(image, [size, size], antialias=True)).float() / 255
    return tensor.flip(2) if view.flip else tensor


class FrozenFeatures:
    """The maps that a frozen backbone gives for views of a data set, kept in the cache folder as
    float16.

    Args:
        backbone: a `Backbone` (see `build_backbone`), put into eval mode and frozen.
        precision: ``"fp32"``, or ``"bf16"`` (three times as fast on CPUs that have it, and a little
            less exact).
        folder: where the maps are kept; `cache_dir` by default.
        device: where the backbone runs.
    """

    def __init__(self, backbone, precision="fp32", folder=None, device="cpu"):
        if precision not in ("fp32", "bf16"):
            raise InputError(f"precision must be 'fp32' or 'bf16', got {precision!r}.")
        self.backbone = backbone.requires_grad_(False).eval().to(device)
        self.device, self.precision, self.checked = torch.device(device), precision, False
        config = model_config(backbone.model)
        self.size = backbone.img_size[0]
        self.mean, self.std = config["mean"], config["std"]
        self.folder = (cache_dir() if folder is None else folder) / "frozen_features"
        self.weights = fingerprint(backbone)

    def extract(self, dataset, views, batch_size=32, name=""):
        """Maps and pooled features of one view of each image; computed once, then read from the
        cache.

        Args:
            dataset: an `ImageDataset`. views: one `View` an image.
            name: shown by the progress bar.

        Returns:
            dict: ``"maps"``, a list of four float16 tensors (N, C_i, H_i, W_i), and ``"pooled"``
            (N, C), what the backbone's own linear classifier would see.
        """
        if len(views) != len(dataset):
            raise InputError(
                f"views must be one for each of the {len(dataset)} images, got {len(views)}."
            )
        folder = self.folder / self._key(dataset, views)
        if not self.holds(dataset, views):
            self._compute(folder, dataset, views, batch_size, name)
        arrays = [
            torch.from_numpy(np.load(folder / f"map{i}.npy", mmap_mode="c")) for i in range(4)
        ]
        return {"maps": arrays, "pooled": torch.from_numpy(np.load(folder / "pooled.npy"))}

    def holds(self, dataset, views):
        """Whether the cache has what `extract` would give."""
        return (self.folder / self._key(dataset, views) / "card.json").exists()

    def _key(self, dataset, views):
        files = [[path.name, path.stat().st_size] for path in dataset.paths]
        shown = [[None if v.box is None else [round(x, 2) for x in v.box], v.flip] for v in views]
        text = json.dumps(
            [self.weights, self.size, self.precision, self.backbone.last_map, files, shown]
        )
        return f"{self.backbone.name}-{self.size}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    @torch.inference_mode()
    def maps_of(self, pictures, views):
        """One batch, nothing stored: PIL images and a `View` of each -> the dict of `extract`, in
        float32.
        """
        images = torch.stack([cut(p, v, self.size) for p, v in zip(pictures, views)])
        images = TF.normalize(images, self.mean, self.std)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            maps, final = self.backbone.forward_features(images.to(self.device))
            pooled = self.backbone.pool(final)
        if not self.checked:
            _check_pooling(self.backbone, final)
            self.checked = True
        return {"maps": [m.float().cpu() for m in maps], "pooled": pooled.float().cpu()}

    def _compute(self, folder, dataset, views, batch_size, name):
        folder.mkdir(parents=True, exist_ok=True)
        out, vectors = None, []
        batches = BatchSampler(range(len(views)), batch_size, drop_last=False)
        for indices in tqdm(batches, desc=f"features {name}", unit="batch", leave=False):
            images = (dataset.image(i) for i in indices)
            found = self.maps_of(images, [views[i] for i in indices])
            if out is None:
                out = [
                    np.lib.format.open_memmap(
                        folder / f"map{i}.npy", "w+", np.float16, (len(views), *m.shape[1:])
                    )
                    for i, m in enumerate(found["maps"])
                ]
            for array, m in zip(out, found["maps"]):
                array[indices] = m.numpy()
            vectors.append(found["pooled"].numpy())
        for array in out:
            array.flush()
        np.save(folder / "pooled.npy", np.concatenate(vectors))
        # The card comes last: a folder without it was interrupted, and is computed again.
        write_json(
            folder / "card.json",
            {"backbone": self.backbone.name, "size": self.size, "views": len(views)},
        )


def _check_pooling(backbone, final):
    """A head on stored vectors adds its update after pooling; that must be the same as adding it
    before.
    """
    final = final.float()
    update = torch.linspace(-1, 1, backbone.embed_dim, device=final.device).expand(len(final), -1)
    if backbone.embed_dim != backbone.channels[-1] or not torch.allclose(
        backbone.pool(backbone.add(final, update)), backbone.pool(final) + update, atol=1e-3
    ):
        raise InputError(
            f"The head of {backbone.name!r} is not linear in its features, so it cannot be "
            f"trained on "
            "stored maps; use a backbone with plain pooling (ViT, Swin, EfficientNet)."
        )
