"""``python -m mgff_tutorial data check NAME --root FOLDER``: every problem of a data set, in one
pass.

Text files first, with file and line; then every image is opened and compared with its box. A
training run should never be the thing that finds image 40,000 cut off.
"""

import hashlib
import itertools
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..support.errors import DataError, check_name, counted
from ..support.images import EXTENSIONS, UNREAD, image_geometry, open_image, upright_size
from . import DATASETS
from .base import ONE_CLASS, count_difference
from .copies import closest_copies, thumbnail
from .tables import Problems

FEW = 5  # training images of a class, below which it is said


@dataclass
class Report:
    """What `check_dataset` found.

    Attributes:
        problems: list of `Problem`; those with ``note`` are odd but handled.
        images, opened: images listed, and images that could be opened.
        summary: one line for each split, and the comparison with the published counts.
    """

    problems: list
    images: int = 0
    opened: int = 0
    summary: list = field(default_factory=list)

    @property
    def errors(self):
        return [problem for problem in self.problems if not problem.note]

    @property
    def notes(self):
        return [problem for problem in self.problems if problem.note]


def check_dataset(name, root=None, decode=True, workers=None, progress=True):
    """Look at every row of every text file and at every image of a data set.

    Args:
        name: ``"cub"``, ``"cars"``, ``"pets"``, ``"nabirds"``, ``"sketchbirds"`` or ``"folder"``.
        root: its folder.
        decode: decode every image in full; False reads the headers only, which misses images that
            are cut off.
        workers: threads that open images; one a processor if not given.
        progress: show a bar.

    Returns:
        `Report`; nothing but an unknown name raises.
    """
    kind, problems = DATASETS[check_name("data set", name, DATASETS)], Problems()
    try:
        if name == "sketchbirds" and root is None:
            from ..renderer.dataset import ensure_sketchbirds

            root = ensure_sketchbirds()
        folder = kind.locate(root)
        found = kind.check_read(folder, problems)
    except DataError as error:
        problems.add(root, None, str(error))
        return Report(problems)
    found.paths = [Path(path) for path in found.paths]
    train = sum(found.train)
    test = len(found.train) - train
    report = Report(problems, images=len(found.paths))
    report.summary = [
        f"{name}: {train:,} training and {test:,} test images of "
        f"{counted(len(found.classes), 'class', 'classes')}"
    ]
    _check_counts(kind, found, train, test, problems)
    difference = count_difference(name, kind.published, train, test, len(found.classes))
    if difference:
        problems.note(found.root, None, difference)
    if found.unlabelled:
        problems.note(found.root, None, found.unlabelled)
    report.opened = _check_images(found, problems, decode, workers, progress)
    _note_strays(found, problems)
    return report


def _check_counts(kind, found, train, test, problems):
    """Too few images to train, to test or to choose with."""
    if len(found.classes) == 1:
        problems.add(found.root, None, ONE_CLASS)
    for half, count in (("training", train), ("test", test)):
        if found.classes and not count and train + test:
            hint = f"; {kind.more_images}" if kind.more_images else ""
            problems.add(found.root, None, f"holds no {half} image{hint}")
    known = Counter(label for label, is_train in zip(found.labels, found.train) if is_train)
    each = {name: known[label] for label, name in enumerate(found.classes)}
    few = [name for name, count in each.items() if 0 < count < FEW]
    if few:
        least = min(few, key=each.get)
        problems.note(
            found.root,
            None,
            f"{counted(len(few), 'class has', 'classes have')} fewer than {FEW} training images "
            f"({least}: {each[least]}); expect little of them, and of what validation says",
        )


def _check_images(found, problems, decode, workers, progress):
    """Open every image; returns how many could be opened."""
    opened, seen, small, turned = 0, {}, {}, []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        results = pool.map(_look, found.paths, itertools.repeat(decode))
        bar = tqdm(
            results,
            total=len(found.paths),
            desc="images",
            unit="image",
            leave=False,
            disable=not progress or None,
        )
        for index, (geometry, digest, thumb, reason) in enumerate(bar):
            if geometry is None:
                source, line = _source(found, index)
                problems.add(source, line, reason.removeprefix(f"{source} "))
                continue
            opened += 1
            turned += [index] if geometry[1] != 1 else []
            _compare(found, index, geometry, problems)
            first = seen.setdefault(digest, index) if digest else index
            if first != index:
                _note_copy(found, index, first, "has the same bytes as", problems)
            elif digest:
                small[index] = thumb
    if turned and found.boxes is None:
        what = f"{counted(len(turned), 'image is', 'images are')} turned by EXIF orientation"
        name = found.paths[turned[0]].name
        problems.note(found.root, None, f"{what}, such as {name}; all are used upright")
    for index, first in closest_copies(small, found.train):
        _note_copy(found, index, first, "shows the same picture as", problems)
    return opened


def _note_copy(found, index, first, what, problems):
    """Images that are seen in training and in the test are known by heart."""
    halves = ["training" if found.train[i] else "test" for i in (index, first)]
    names = [found.paths[i].name for i in (index, first)]
    problems.note(
        *_source(found, index), f"{names[0]} ({halves[0]}) {what} {names[1]} ({halves[1]})"
    )


def _look(path, decode):
    """((size, orientation), digest of the bytes, `thumbnail`, None), or (None, None, None, what is
    wrong).
    """
    try:
        geometry = image_geometry(path)
        if not decode:
            return geometry, None, None, None
        thumb = thumbnail(open_image(path))
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        return geometry, digest, thumb, None
    except (DataError, OSError) as error:
        return None, None, None, str(error).rstrip(".")


def _compare(found, index, geometry, problems):
    """Box and annotated size of an image against the image itself."""
    (size, orientation), source = geometry, _source(found, index)
    upright = upright_size(size, orientation)
    if orientation != 1 and found.boxes is not None:
        problems.note(
            *source,
            f"{found.paths[index].name} is turned by its EXIF orientation ({orientation}); "
            "picture, box and parts are turned with it",
        )
    annotated = found.sizes[index] if found.sizes else None
    if annotated and annotated not in (size, upright):
        problems.add(
            *source,
            f"{found.paths[index].name} is {size[0]} x {size[1]} pixels, but was annotated at "
            f"{annotated[0]} x {annotated[1]}: its boxes do not fit",
        )
    if found.boxes is None or np.isnan(found.boxes[index]).any():
        return
    box = found.boxes[index]
    borders = [size, upright] if orientation != 1 else [size]
    if all(
        box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0
        for width, height in borders
    ):
        problems.add(
            *source,
            f"the box of {found.paths[index].name} lies outside the {size[0]} x {size[1]} image",
        )
    elif all(
        min(box[0], box[1]) < -1 or box[2] > width + 1 or box[3] > height + 1
        for width, height in borders
    ):
        problems.note(
            *source,
            f"the box of {found.paths[index].name} reaches beyond the {size[0]} x {size[1]} image; "
            "it is clipped",
        )


def _note_strays(found, problems):
    """Files in the image folders that no text file lists: harmless, because only listed images are
    read.
    """
    listed = {str(path) for path in found.paths}
    for folder in sorted({str(path.parent) for path in found.paths}):
        try:
            names = sorted(
                entry.name
                for entry in os.scandir(folder)
                if not entry.is_dir(follow_symlinks=False)
            )
        except OSError:  # its images were reported as missing
            continue
        strays = [name for name in names if os.path.join(folder, name) not in listed]
        if strays:
            kinds = [os.path.splitext(name)[1].lower() for name in strays]
            images = sum(kind in EXTENSIONS for kind in kinds)
            problems.note(
                folder,
                None,
                f"holds {counted(len(strays), 'file that is', 'files that are')} not listed "
                f"({images} of them images), such as {strays[0]}; they are not used",
            )
            if unread := sum(kind in UNREAD for kind in kinds):
                text = f"holds {counted(unread, 'photograph')} in a format that is not read"
                problems.note(folder, None, f"{text} (HEIC or raw); save them as JPEG")


def _source(found, index):
    return found.sources[index] if found.sources else (found.paths[index], None)
