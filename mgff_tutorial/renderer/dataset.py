"""SketchBirds on disk: 20 species x (30 training + 30 test) pictures in the layout of CUB-200-2011.

Seeds of the renderer, so that no two uses share a picture:

    0 to 99,999                          free: notebooks and tests
    100,000 + 1,000 * label + 0..29      training pictures (0..999 in a larger set)
    200,000 + 1,000 * label + 0..29      test pictures
    7,000,000 to 8,099,999               controlled experiments
    10,000,000 and above                 pretraining, on other species

A seed stands for a place, light and pose, so no two pictures of the data set share these either. A
larger training set (`write_sketchbirds`, ``training_images``) begins with the pictures of the usual
one; its test pictures are the same.
"""

import contextlib
import glob
import hashlib
import io
import os
import re
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..renderer import VERSION, render
from ..support import files
from ..support.errors import DataError, InputError, check_number
from ..support.files import as_path, is_inside
from ..support.locks import FolderLock
from ..support.paths import cache_dir, sketchbirds_dir
from .species import PART_CODES, PART_NAMES, SPECIES

IMAGES_PER_SPLIT = 30
SIZE = 256
QUALITY = 88
OURS = b"SketchBirds version"  # the beginning of a README
TRAIN_SEED, TEST_SEED, SEED_STEP = 100_000, 200_000, 1_000

TABLES = (
    "images",
    "image_class_labels",
    "train_test_split",
    "bounding_boxes",
    "parts/part_locs",
    "scenes",
    "classes",
    "parts/parts",
    "genera",
    "part_codes",
)

_README = """SketchBirds {version}: drawn birds of 20 invented species in 5 genera, in the layout of CUB-200-2011.
Written by `python -m mgff_tutorial render`. Licence: that of the project.

images.txt               image_id path             (below images/)
classes.txt              class_id name             (class_id = label + 1)
image_class_labels.txt   image_id class_id
train_test_split.txt     image_id is_training_image
bounding_boxes.txt       image_id x y width height (pixels, visible part of the bird)
parts/parts.txt          part_id name              (1 to 6 are the parts that species differ in)
parts/part_locs.txt      image_id part_id x y visible  (pixels; 0 0 0 where hidden)
genera.txt               class_id genus_id genus
part_codes.txt           class_id part_id code
scenes.txt               image_id seed scale camouflage occluders rotation flip background pose
checksums.txt            SHA-256 and path of every other file; `sha256sum -c checksums.txt` checks them
"""  # noqa: E501


@dataclass(frozen=True)
class Entry:
    """One picture of the data set: its label, seed, split and path below ``images/``."""

    label: int
    seed: int
    train: bool
    path: str


@dataclass
class Report:
    """What `verify_sketchbirds` found; ``ok`` if all is as it was written."""

    root: Path
    listed: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    changed: list = field(default_factory=list)
    extra: list = field(default_factory=list)

    @property
    def ok(self):
        return not (self.missing or self.changed)

    def __str__(self):
        lines = [
            f"{len(self.listed)} files listed: {len(self.missing)} missing, "
            f"{len(self.changed)} changed, "
            f"{len(self.extra)} not listed."
        ]
        for word in ("missing", "changed", "extra"):
            names = getattr(self, word)
            lines += [f"  {word}: {name}" for name in names[:10]]
            lines += [f"  {word}: {len(names) - 10} more"] if len(names) > 10 else []
        return "\n".join(lines)


@dataclass
class Comparison:
    """What `compare_with_render` found; differences are means over an image's pixels, of 255."""

    images: int
    differences: np.ndarray
    box_differences: np.ndarray
    beyond: list

    @property
    def ok(self):
        return not self.beyond

    def __str__(self):
        return (
            f"{self.images} images drawn again: mean absolute difference "
            f"{self.differences.mean():.3f} of 255, "
            f"worst {self.differences.max():.3f}; boxes differ by at most "
            f"{self.box_differences.max():.1f} pixels; "
            f"{len(self.beyond)} beyond the limit."
        )


def entries(training_images=None):
    """All pictures of the data set as a list of `Entry`, by label, training pictures first;
    image_id = position + 1.

    Args:
        training_images: of each species, 1 to 1,000; None: 30, as in the embedded set.
    """
    if training_images is None:
        training_images = IMAGES_PER_SPLIT
    check_number("training_images", training_images, 1, SEED_STEP, whole=True)
    found = []
    for label, species in enumerate(SPECIES):
        name = species.name.replace(" ", "_")
        for split, (first, count) in enumerate(
            ((TRAIN_SEED, training_images), (TEST_SEED, IMAGES_PER_SPLIT))
        ):
            for number in range(count):
                seed = first + SEED_STEP * label + number
                file = f"{name}_{split * IMAGES_PER_SPLIT + number + 1:04d}_{seed}.jpg"
                found.append(Entry(label, seed, split == 0, f"{label + 1:03d}.{name}/{file}"))
    return found


def _jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def write_sketchbirds(root, progress=True, training_images=None):
    """Draw the whole data set into ``root``: about 30 seconds on one core, 1,200 JPEG files of 256
    x 256 pixels.

    All is written into a folder beside ``root`` that takes its place at the end, so nothing
    half-written remains.

    Args:
        root: the folder to write. If it exists it must be empty or hold SketchBirds as they were
            written and nothing else; these are then replaced. A link is followed.
        progress: show a progress bar.
        training_images: of each species; see `entries`.

    Returns:
        ``root`` as a Path.

    Raises:
        InputError: ``root`` holds something else; a number out of range.
    """
    listed = entries(training_images)
    root = _replaceable(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(root)
    temporary = root.with_name(f".{root.name}.{secrets.token_hex(4)}{files.ENDING}")
    old = temporary.with_suffix(f".old{files.ENDING}")
    temporary.mkdir()
    lock = FolderLock(temporary)
    try:
        _write_files(temporary, listed, progress)
        files.reached("drawn")
        lock.release()
        _write_checksums(temporary)
        if root.exists():
            _replaceable(root)  # drawing takes its time
            os.replace(root, old)
        files.reached("moved away")
        try:
            os.replace(temporary, root)
        except OSError:
            if old.exists():
                os.replace(old, root)
            raise
    finally:
        lock.release()
        shutil.rmtree(temporary, ignore_errors=True)
        if root.exists():
            shutil.rmtree(old, ignore_errors=True)
    return root


def _remove_leftovers(root):
    """Delete what killed writers of ``root`` left beside it; not what a living one is drawing."""
    for leftover in root.parent.glob(f".{glob.escape(root.name)}.*{files.ENDING}"):
        with contextlib.suppress(InputError):  # in use
            FolderLock(leftover).release()
            shutil.rmtree(leftover, ignore_errors=True)


def _replaceable(root):
    """The real folder behind ``root``, if it is absent, empty, or holds what `write_sketchbirds`
    wrote and nothing else.

    Raises:
        InputError: anything else.
    """
    real = Path(os.path.realpath(as_path(root, "root")))
    if Path.cwd().is_relative_to(real):
        raise InputError(f"{root} is the folder that this program runs in; name another one.")
    if not os.path.lexists(real):
        return real
    foreign = "it is no folder" if not real.is_dir() else _foreign(real)
    if foreign:
        raise InputError(
            f"{root} cannot be replaced by SketchBirds: {foreign}; name a new or empty folder."
        )
    return real


def _foreign(root):
    """What in a folder is not as `write_sketchbirds` wrote it, in a few words; None if all is."""
    if not any(root.iterdir()):
        return None
    if not (_begins_with(root, OURS) and (root / "checksums.txt").is_file()):
        return "it holds something else"
    report = verify_sketchbirds(root)
    expected = {"README.txt", "checksums.txt", *(f"{name}.txt" for name in TABLES)}
    images = re.compile(r"images/\d{3}\.\w+/\w+_\d+\.jpg")
    odd = [name for name in report.listed if name not in expected and not images.fullmatch(name)]
    links = [path for path in root.rglob("*") if path.is_symlink()]
    for names, word in (
        (report.extra + odd, "is no file of SketchBirds"),
        (report.changed, "was changed"),
        ([path.relative_to(root) for path in links], "is a link"),
    ):
        if names:
            return f"{names[0]} {word}"
    return None


def _begins_with(root, words):
    """Whether a README stands in a folder that begins so; it is written with all other files."""
    try:
        with open(root / "README.txt", "rb") as stream:
            return stream.read(len(words)) == words
    except OSError:
        return False


def _write_files(root, listed, progress):
    tables = {name: [] for name in TABLES}
    for folder in ("parts", *(f"images/{entry.path.split('/')[0]}" for entry in listed)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    bar = tqdm(listed, desc="drawing SketchBirds", unit="image", disable=None if progress else True)
    for number, entry in enumerate(bar, 1):
        scene = render(entry.label, entry.seed, SIZE)
        (root / "images" / entry.path).write_bytes(_jpeg(scene.image))
        files.reached("picture")
        x0, y0, x1, y1 = scene.box
        d = scene.details
        rows = {
            "images": entry.path,
            "image_class_labels": entry.label + 1,
            "train_test_split": int(entry.train),
            "bounding_boxes": f"{x0:.1f} {y0:.1f} {x1 - x0:.1f} {y1 - y0:.1f}",
            "scenes": f"{entry.seed} {d['scale']:.4f} {d['camouflage']:.4f} {d['occluders']} "
            f"{d['rotation']:.2f} {int(d['flip'])} {d['background']} {d['pose'].replace(' ', '_')}",
        }
        for name, row in rows.items():
            tables[name].append(f"{number} {row}")
        for part, name in enumerate(PART_NAMES, 1):
            x, y, visible = scene.parts[name]
            tables["parts/part_locs"].append(
                f"{number} {part} {x:.1f} {y:.1f} 1" if visible else f"{number} {part} 0.0 0.0 0"
            )
    genera = list(dict.fromkeys(species.genus.name for species in SPECIES))
    numbered = list(enumerate(SPECIES, 1))
    tables |= {
        "classes": [f"{k} {k:03d}.{one.name.replace(' ', '_')}" for k, one in numbered],
        "parts/parts": [f"{k} {name}" for k, name in enumerate(PART_NAMES, 1)],
        "genera": [
            f"{k} {genera.index(one.genus.name) + 1} {one.genus.name.replace(' ', '_')}"
            for k, one in numbered
        ],
        "part_codes": [
            f"{k} {part} {one.code(name).replace(' ', '_')}"
            for k, one in numbered
            for part, name in enumerate(PART_CODES, 1)
        ],
    }
    for name, lines in tables.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    (root / "README.txt").write_text(
        _README.format(version=f"version {VERSION}"), encoding="utf-8", newline="\n"
    )


def _files_below(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_checksums(root):
    lines = [
        f"{_digest(root / name)}  {name}" for name in _files_below(root) if name != "checksums.txt"
    ]
    (root / "checksums.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def verify_sketchbirds(root):
    """Compare every file with ``checksums.txt``.

    Returns:
        `Report`: its ``missing``, ``changed`` and ``extra`` are lists of paths below ``root``;
        ``ok`` is True if nothing is missing or changed.

    Raises:
        DataError: there is no readable ``checksums.txt``.
    """
    root = Path(root)
    try:
        lines = (root / "checksums.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{root / 'checksums.txt'} cannot be read ({error.__class__.__name__}); "
            "`python -m mgff_tutorial render --out DIR` draws the data set anew."
        ) from None
    report = Report(root)
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64:
            raise DataError(
                f"{root / 'checksums.txt'}, line {number}: expected a SHA-256 and a path, "
                f"got {line!r}."
            )
        if not is_inside(name):
            raise DataError(
                f"{root / 'checksums.txt'}, line {number}: {name!r} is no path in that folder."
            )
        report.listed.append(name)
        if not (root / name).is_file():
            report.missing.append(name)
        elif _digest(root / name) != digest:
            report.changed.append(name)
    known = {"checksums.txt", *report.listed}
    report.extra = [name for name in _files_below(root) if name not in known]
    return report


def compare_with_render(root, limit=2.0, every=1, progress=False):
    """Draw the pictures again and compare decoded pixels: what checksums cannot tell where libjpeg
    differs.

    Args:
        root: a folder of SketchBirds.
        limit: largest mean absolute difference of an image, of 255.
        every: compare only every n-th image.

    Returns:
        `Comparison`; ``beyond`` lists the images over the limit or with a box off by more than 2
        pixels.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    root = Path(root)
    in_training = _column_table(root / "train_test_split.txt")[:, 1] == 1
    listed = list(enumerate(entries(int(in_training.sum()) // len(SPECIES)), 1))[::every]
    boxes = {int(number): box for number, *box in _column_table(root / "bounding_boxes.txt")}
    measured = []
    for number, entry in tqdm(
        listed, desc="comparing", unit="image", disable=None if progress else True
    ):
        scene = render(entry.label, entry.seed, SIZE)
        try:
            with Image.open(root / "images" / entry.path) as stored:
                stored = np.asarray(stored.convert("RGB"), dtype=np.int16)
        except OSError as error:
            raise DataError(f"{root / 'images' / entry.path} cannot be read: {error}") from None
        fresh = np.asarray(Image.open(io.BytesIO(_jpeg(scene.image))), dtype=np.int16)
        difference = float(np.abs(stored - fresh).mean()) if stored.shape == fresh.shape else 255.0
        x, y, width, height = boxes.get(number, (0, 0, 0, 0))
        off = max(abs(a - b) for a, b in zip(scene.box, (x, y, x + width, y + height)))
        measured.append((difference, off, entry.path))
    beyond = [path for difference, off, path in measured if difference >= limit or off > 2]
    differences, offs = (np.array([one[i] for one in measured]) for i in (0, 1))
    return Comparison(len(listed), differences, offs, beyond)


def _column_table(path):
    """A text file of numbers in columns, (rows, columns)."""
    try:
        return np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def ensure_sketchbirds(training_images=None):
    """The folder of SketchBirds: the checkout's, else one in the cache, drawn there on first use
    and verified.

    Args:
        training_images: of each species; a set with others than the usual 30 always lies in the
            cache.

    Raises:
        DataError: what was written is not what was drawn (a full disk, for one).
    """
    root = sketchbirds_dir()
    if training_images not in (None, IMAGES_PER_SPLIT):
        root = cache_dir() / f"sketchbirds-{training_images}"
    current = OURS + f" {VERSION}:".encode()
    if cache_dir() not in root.parents or _begins_with(root, current):
        return root
    try:
        write_sketchbirds(root, training_images=training_images)
    except OSError:
        if not _begins_with(
            root, current
        ):  # else another process was faster, and what it wrote is as good
            raise
    report = verify_sketchbirds(root)
    if not report.ok:
        raise DataError(f"SketchBirds in {root} are damaged: {report}")
    return root
