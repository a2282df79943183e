"""Images resized once and kept on disk, so that decoding large photographs is not the bottleneck of
training.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, SupportsIndex

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import Dataset

from ..support.errors import DataError, check_name, check_number
from ..support.files import as_path
from ..support.images import open_image, upright_size
from .base import Folder, ImageDataset, Transform

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": (".jpg", {"format": "JPEG", "quality": 95, "subsampling": 0}),
    "png": (".png", {"format": "PNG", "compress_level": 1}),
}


class CachedImages(Dataset[tuple[Any, int]]):
    """A data set whose images are stored resized to ``size`` x ``size`` when they are first read.

    The paper resizes every image to 512 x 512 before it crops, so a cache at 512 changes nothing
    but the rounding of JPEG (quality 95); ``format="png"`` keeps every bit and costs three times
    the space and time.

    A file is written under another name and then renamed, so that several processes can fill one
    cache and a kill leaves no half image. A changed source image gets a new entry. If the disk is
    full, images are read as before.

    Args:
        dataset: an `ImageDataset`; its transform is applied to the resized image.
        folder: where to keep the images; made if it is not there.
        size: side in pixels.
        format: ``"jpeg"`` or ``"png"``.

    ``boxes`` and ``parts`` are in pixels of the resized images.
    """

    def __init__(
        self, dataset: ImageDataset, folder: Folder, size: int = 512, format: str = "jpeg"
    ) -> None:
        check_number("size", size, 1, whole=True)
        check_name("format", format, FORMATS)
        self.dataset, self.folder, self.size, self.format = (
            dataset,
            as_path(folder, "folder"),
            size,
            format,
        )
        self.transform = dataset.transform
        self._full = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"The cache folder {folder} cannot be made: {error.strerror}."
            ) from None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "dataset":  # not yet there while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        image = self.image(index)
        return (image if self.transform is None else self.transform(image)), self.dataset.labels[
            index
        ]

    def subset(
        self, indices: Iterable[SupportsIndex], transform: Transform | None = None
    ) -> "CachedImages":
        """As `ImageDataset.subset`, with the same cache."""
        return CachedImages(
            self.dataset.subset(indices, transform), self.folder, self.size, self.format
        )

    @property
    def boxes(self) -> torch.Tensor | None:
        boxes = self.dataset.boxes
        return None if boxes is None else boxes * self._scales().repeat(1, 2)

    @property
    def parts(self) -> torch.Tensor | None:
        parts = self.dataset.parts  # x, y, and whether it is visible
        return None if parts is None else parts * F.pad(self._scales(), (0, 1), value=1.0)[:, None]

    def image(self, index: SupportsIndex) -> Image.Image:
        """The resized RGB PIL image at ``index``, from the cache if it is there and sound."""
        cached = self.cached_path(index)
        try:
            return open_image(cached)
        except DataError:  # not there yet, or damaged: make it again
            pass
        image = open_image(self.dataset.paths[index]).resize(
            (self.size, self.size), Image.Resampling.BILINEAR
        )
        self._store(image, cached)
        return open_image(cached) if cached.is_file() else image

    def cached_path(self, index: SupportsIndex) -> Path:
        """Where the resized image is kept: named after the source file, its time and size, so
        changes are noticed.
        """
        path = self.dataset.paths[index]
        try:
            status = os.stat(path)
            state = f"{status.st_mtime_ns}-{status.st_size}"
        except (OSError, ValueError):
            state = "missing"
        key = hashlib.sha256(
            f"{os.path.abspath(path)}|{state}|{self.size}".encode("utf-8", "surrogateescape")
        )
        digest = key.hexdigest()[:32]
        return self.folder / digest[:2] / (digest + FORMATS[self.format][0])

    def _scales(self):
        sizes = [self.dataset._geometry_of(i) for i in range(len(self))]
        sizes = [upright_size(*size) if size else (self.size, self.size) for size in sizes]
        return self.size / torch.tensor(sizes, dtype=torch.float32)

    def _store(self, image, path):
        if self._full:
            return
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                image.save(file, **FORMATS[self.format][1])
            os.replace(temporary, path)
        except OSError as error:
            self._full = True
            warnings.warn(
                f"The image cache {self.folder} cannot be written ({error.strerror or error}); "
                "images are read from their source instead.",
                stacklevel=3,
            )
            if temporary is not None and os.path.exists(temporary):
                os.unlink(temporary)
