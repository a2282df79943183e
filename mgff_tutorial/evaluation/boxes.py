"""The boxes that a cropper found in a data set, kept on disk: the ViT looks at each image once.

Training with close views, every later run of it, and ``evaluate --two-stage`` ask for the same
boxes of the same images. A box depends on the cropper (weights, rule, threshold, padding, input
size) and on the image file alone, so it
is stored under these. The files are small: 56 bytes an image, 2.7 MB for NABirds.
"""

import hashlib
import json
import os
import time
import warnings
from contextlib import AbstractContextManager
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import BatchSampler
from torchvision.transforms.v2 import functional as tv
from tqdm.auto import tqdm

from .. import __version__
from ..cropper import ViTCropper
from ..response import FITTED_RULES, RULES
from ..support.checkpoints import fingerprint
from ..support.errors import InputError
from ..support.files import atomic_file
from ..support.images import full_scale, images_per_pass
from ..support.paths import cache_dir

ARITHMETIC = 1  # raised when the same cropper would find other boxes than older code did
SAVE_SECONDS = 30  # at most this much work is lost in a kill
ROW = np.dtype([("image", "S24"), ("box", "f8", (4,))])


def describe(cropper, *more):
    """Text that changes with everything that a cropper's boxes depend on, but for the images.

    Args:
        cropper: a `ViTCropper`.
        more: further values that the boxes depend on (JSON-able).

    Returns:
        str; None where no text can tell (a cropper or rule of the caller's own), so nothing is
        stored.
    """
    named = RULES | FITTED_RULES
    if not isinstance(cropper, ViTCropper) or cropper.rule not in named.values():
        return None
    rule = next(name for name, rule in named.items() if rule == cropper.rule)
    weight = next(cropper.vit.parameters())
    heads = [getattr(block.attn, "num_heads", None) for block in cropper.vit.blocks]
    return json.dumps(
        [
            ARITHMETIC,
            __version__,
            type(cropper.vit).__name__,
            heads,
            fingerprint(cropper.vit),
            rule,
            cropper.tau,
            cropper.padding,
            cropper.input_size,
            cropper.mean,
            cropper.std,
            cropper.presence and astuple(cropper.presence),
            str(weight.dtype),
            weight.device.type,
            *more,
        ]
    )


class BoxStore(AbstractContextManager):
    """Boxes of the images of one data set, on disk under what found them.

    Every process writes a file of its own and reads those of all. A file takes its predecessor's
    place only once complete. Where the folder cannot be written, a warning says so once, and the
    boxes last as long as the object.

    Args:
        dataset: whose boxes are meant. Without ``paths`` (or with ``finder=None``) nothing is
            stored or read.
        finder: text that says what finds the boxes, see `describe`.
        folder: `cache_dir` / "boxes" if None.
        part: number of this process.
    """

    def __init__(self, dataset, finder, folder=None, part=0):
        self.stored = finder is not None and getattr(dataset, "paths", None) is not None
        self.names = [
            _image_name(dataset, i) if self.stored else b"%d" % i for i in range(len(dataset))
        ]
        self.folder = cache_dir() / "boxes" if folder is None else Path(folder)
        self.key, self.part = hashlib.sha256(str(finder).encode()).hexdigest()[:16], part
        self.boxes, self.changed, self.saved_at = {}, False, time.monotonic()
        self._read()

    def known(self, indices):
        """(n, 4) float32 tensor of the images at ``indices``; None unless all of them have been
        found.
        """
        names = [self.names[i] for i in indices]
        if not all(name in self.boxes for name in names):
            return None
        return torch.from_numpy(
            np.array([self.boxes[name] for name in names]).reshape(-1, 4)
        ).float()

    def array(self):
        """(N, 4) float64, xyxy pixels of the upright images; an image not found yet is a
        `KeyError`.
        """
        return np.array([self.boxes[name] for name in self.names], dtype=np.float64).reshape(-1, 4)

    def add(self, indices, boxes):
        """Keep the boxes (n, 4) of the images at ``indices``; they reach the disk every
        `SAVE_SECONDS`, and in `save`.
        """
        self.boxes.update(
            zip([self.names[i] for i in indices], np.asarray(boxes, dtype=np.float64))
        )
        self.changed = True
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            self.save()

    def save(self):
        """Write this process's file, with what other runs have stored meanwhile."""
        if not (self.stored and self.changed):
            return
        self._read()
        rows = np.array(sorted((name, tuple(box)) for name, box in self.boxes.items()), dtype=ROW)
        try:
            with atomic_file(self._path(self.part)) as stream:
                np.save(stream, rows)
        except OSError as error:
            warnings.warn(
                f"The boxes cannot be kept in {self.folder} ({error.strerror or error}); they "
                f"will be found "
                "again next time.",
                stacklevel=2,
            )
            self.stored = False
        self.changed, self.saved_at = False, time.monotonic()

    def __exit__(self, *error):
        self.save()  # after Ctrl-C as well: what was found is kept

    def _path(self, part):
        return self.folder / f"{self.key}-{part}.npy"

    def _read(self):
        """Take in what is on disk; a file that is damaged or something else counts as none."""
        for path in sorted(self.folder.glob(self._path("*").name)) if self.stored else []:
            try:
                rows = np.load(path, allow_pickle=False)
            except (OSError, ValueError, EOFError):
                continue
            if (
                isinstance(rows, np.ndarray)
                and rows.dtype == ROW
                and rows.ndim == 1
                and np.isfinite(rows["box"]).all()
            ):
                for name, box in zip(rows["image"].tolist(), rows["box"]):
                    self.boxes.setdefault(name, box)


def find_boxes(
    dataset,
    cropper,
    images=None,
    scales=None,
    find=None,
    finder=None,
    folder=None,
    batch_size=64,
    rank=0,
    processes=1,
    gather=None,
    progress=False,
):
    """Boxes that a cropper finds in all images of a data set, each computed once and kept by a
    `BoxStore`.

    Args:
        dataset: with ``image(i)`` (PIL); stored if it has ``paths``.
        cropper: a `ViTCropper`.
        images: sequence of decoded images, PIL or uint8 (3, H, W), if they are at hand; else they
            are opened.
        scales: (N, 4) array, by which boxes in pixels of ``images`` are multiplied to be in those
            of the whole images; None: they are.
        find: another way to find: a list of images -> (n, 4) array; then ``finder`` says what it
            depends on.
        folder: as for `BoxStore`.
        batch_size: images that the ViT sees together.
        rank, processes: this process, and how many share the work.
        gather: collects a list of objects from all processes (`accelerate.utils.gather_object`).
        progress: show a bar.

    Returns:
        (N, 4) float64 array, xyxy pixels of the upright images; the same on every process.
    """
    if find is None:
        find, finder = (lambda batch: _found(cropper, batch)), describe(cropper)
    store = BoxStore(dataset, finder, folder, rank)
    share = range(rank, len(dataset), processes)
    bar = tqdm(
        total=len(share), desc="finding objects", unit=" images", leave=False, disable=not progress
    )
    with store, bar:
        for indices in BatchSampler(share, batch_size, drop_last=False):
            if store.known(indices) is None:
                batch = [dataset.image(i) if images is None else images[i] for i in indices]
                if images is None:
                    sizes = np.array([2 * full_scale(image) for image in batch])
                else:
                    sizes = np.ones((len(batch), 4)) if scales is None else scales[indices]
                store.add(indices, np.asarray(find(batch)) * sizes)
            bar.update(len(indices))
    if processes > 1:
        for places, boxes in gather([(list(share), store.known(share).double().numpy())]):
            store.add(places, boxes)
    return store.array()


def _found(cropper, batch):
    """(n, 4) boxes in the pixels of each image."""
    size = images_per_pass(batch)
    parts = (batch[start : start + size] for start in range(0, len(batch), size))
    return torch.cat([cropper.find([as_pixels(image) for image in part]).boxes for part in parts])


def as_pixels(image):
    """A PIL image or a uint8 tensor (3, H, W) as float32 in 0 to 1, by the same rounding for
    both.
    """
    if isinstance(image, Image.Image):
        image = tv.to_image(image).as_subclass(torch.Tensor)
    if not isinstance(image, torch.Tensor) or image.dtype != torch.uint8:
        raise InputError(
            f"images: expected PIL images or uint8 tensors (3, H, W), got {type(image).__name__}."
        )
    return tv.to_dtype(image, torch.float32, scale=True)


def _image_name(dataset, index):
    """What an image is known by: its file, the file's time and size, and the size that a cache gave
    it.
    """
    path = dataset.cached_path(index) if hasattr(dataset, "cached_path") else dataset.paths[index]
    if hasattr(dataset, "cached_path"):  # its name depends on the source file already
        text = path.name
    else:
        try:
            status = os.stat(path)
            text = f"{os.path.abspath(path)}|{status.st_mtime_ns}|{status.st_size}"
        except (OSError, ValueError):  # reported when the image is opened
            text = f"{os.path.abspath(path)}|missing"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24].encode()
