"""Stanford Cars (Krause et al., 2013): 16,185 photographs of 196 models of cars, with boxes.

The original download address is gone; what circulates are mirrors in three layouts, and all three
are read here.
"""

import csv
from pathlib import Path

import numpy as np

from .base import Annotations, ImageDataset
from .folder import read_halves
from .tables import Problems, read_text, safe_relative

UNLABELLED = (
    "cars_test_annos_withlabels.mat is missing: cars_test_annos.mat of the devkit has boxes but "
    "no classes. "
    "Put the file with labels beside it; the training split works without."
)


class StanfordCars(ImageDataset):
    """Stanford Cars in any of its three layouts; see `ImageDataset`. ``boxes`` are kept as the
    files write them.

    - the devkit: cars_train/, cars_test/ and devkit/ with cars_meta.mat, cars_train_annos.mat and
      cars_test_annos_withlabels.mat (in devkit/ or beside it; without it, only the training split
      can be built);
    - one file: cars_annos.mat and car_ims/;
    - class folders: train/CLASS/*.jpg and test/CLASS/*.jpg, with boxes if anno_train.csv and
      anno_test.csv are there.

    ``root`` may be the folder that holds these, its parent, or devkit/ itself.
    """

    name = "cars"
    needed = (
        "cars_meta.mat",
        "devkit/cars_meta.mat",
        "car_devkit/devkit/cars_meta.mat",
        "cars_annos.mat",
        "train",
    )
    published = (8144, 8041, 196)
    home = (
        "The original address of Stanford Cars is gone; data/README.md says which mirrors hold it."
    )

    @staticmethod
    def read(root: Path, problems: Problems) -> Annotations:
        for folder in (root, root / "devkit", root / "car_devkit" / "devkit"):
            if (folder / "cars_meta.mat").is_file():
                return read_devkit(folder, problems)
        if (root / "cars_annos.mat").is_file():
            return read_single(root / "cars_annos.mat", problems)
        return read_class_folders(root, problems)


def read_devkit(devkit, problems):
    """`Annotations` from the .mat files of the devkit; the test images have label None if their
    labels are missing.
    """
    classes = _class_names(_load(devkit / "cars_meta.mat", "class_names", problems))
    base = next(
        (
            folder
            for folder in (devkit, *devkit.parents[:2])
            if (folder / "cars_train").is_dir() or (folder / "cars_test").is_dir()
        ),
        devkit.parent,
    )
    labelled = next(
        (
            path
            for folder in (devkit, *devkit.parents[:2])
            for path in sorted(folder.glob("cars_test_annos_withlabels*.mat"))
        ),
        None,
    )
    test = labelled or devkit / "cars_test_annos.mat"
    found = _Rows(classes, problems)
    found.add(
        devkit / "cars_train_annos.mat", "fname", _image_folder(base, "cars_train"), train=True
    )
    if test.is_file():
        found.add(
            test,
            "fname",
            _image_folder(base, "cars_test"),
            train=False,
            labelled=labelled is not None,
        )
    return found.annotations(devkit, "" if labelled else UNLABELLED)


def read_single(path, problems):
    """`Annotations` from cars_annos.mat, which says in ``test`` which split an image of car_ims/
    belongs to.
    """
    found = _Rows(_class_names(_load(path, "class_names", problems)), problems)
    found.add(path, "relative_im_path", path.parent)
    return found.annotations(path.parent, "")


def read_class_folders(root, problems):
    """`Annotations` from train/CLASS/ and test/CLASS/; anno_train.csv and anno_test.csv add the
    boxes.
    """
    halves = {half: root / half if (root / half).is_dir() else None for half in ("train", "test")}
    classes, rows = read_halves(halves, problems)
    boxes_of = {half: _csv_boxes(root, half, problems) for half in ("train", "test")}
    boxes = [
        boxes_of["train" if train else "test"].get(path.name, (np.nan,) * 4)
        for path, _, train in rows
    ]
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return Annotations(
        root=root,
        classes=classes,
        paths=[row[0] for row in rows],
        labels=[row[1] for row in rows],
        train=[row[2] for row in rows],
        boxes=None if np.isnan(boxes).all() else boxes,
        sources=[(row[0].parent, None) for row in rows],
    )


class _Rows:
    """Collects the rows of annotation structs, whichever file they come from."""

    def __init__(self, classes, problems):
        self.classes, self.problems = classes, problems
        self.found = []  # (path, label, in training, box, source)

    def add(self, path, name_field, folder, train=None, labelled=True):
        """Add the struct array ``annotations`` of a file; ``train`` None reads the split from the
        field ``test``.
        """
        rows = _load(path, "annotations", self.problems)
        if rows is None:
            return
        rows = np.atleast_1d(rows)
        fields = [name_field, "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
        fields += (["class"] if labelled else []) + (["test"] if train is None else [])
        missing = [name for name in fields if name not in (rows.dtype.names or ())]
        if missing:
            self.problems.add(path, None, f"annotations have no field {missing[0]!r}")
            return
        seen = set()
        for number, row in enumerate(rows, start=1):
            try:
                values = {field: np.asarray(row[field]).item() for field in fields}
                name, box = str(values[name_field]), [float(values[key]) for key in fields[1:5]]
                label = int(values["class"]) - 1 if labelled else None
            except (TypeError, ValueError, OverflowError) as error:
                self.problems.add(path, number, f"the annotation cannot be read ({error})")
                continue
            reason = self._check(name, box, label) or (
                f"image {name} is annotated twice" if name in seen else None
            )
            seen.add(name)
            if reason:
                self.problems.add(path, number, reason)
            else:
                in_train = not values["test"] if train is None else train
                self.found.append((folder / name, label, in_train, box, (path, number)))

    def _check(self, name, box, label):
        if label is not None and not 0 <= label < len(self.classes):
            return f"class {label + 1} is not from 1 to {len(self.classes)}"
        if not np.isfinite(box).all() or box[0] >= box[2] or box[1] >= box[3]:
            return f"the box {[float(v) for v in box]} is empty"
        return safe_relative(name)

    def annotations(self, root, unlabelled):
        if not self.found and not self.problems.errors:
            self.problems.add(root, None, "annotates no images")
        paths, labels, train, boxes, sources = zip(*self.found) if self.found else [()] * 5
        return Annotations(
            root=root,
            classes=self.classes,
            paths=paths,
            labels=labels,
            train=train,
            boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            sources=sources,
            unlabelled=unlabelled,
        )


def _load(path, variable, problems):
    """One variable of a .mat file, or None with a problem noted."""
    from scipy.io import loadmat

    if not path.is_file():
        problems.add(path, None, "is missing")
        return None
    try:
        content = loadmat(path, squeeze_me=True, variable_names=[variable])
    except Exception as error:  # scipy raises whatever its parser stumbles over
        problems.add(path, None, f"is not a readable MATLAB file ({type(error).__name__}: {error})")
        return None
    if variable not in content:
        problems.add(path, None, f"holds no variable {variable!r}")
        return None
    return content[variable]


def _class_names(value):
    return [] if value is None else [str(name) for name in np.atleast_1d(value)]


def _image_folder(base, name):
    """``base/name``, or ``base/name/name`` as some mirrors unpack."""
    nested = base / name / name
    return nested if nested.is_dir() else base / name


def _csv_boxes(root, half, problems):
    """anno_train.csv or anno_test.csv (file, x1, y1, x2, y2, class id) beside the folders, as dict
    name -> box.
    """
    path = next(
        (
            folder / f"anno_{half}.csv"
            for folder in (root, *root.parents[:2])
            if (folder / f"anno_{half}.csv").is_file()
        ),
        None,
    )
    boxes = {}
    for number, row in enumerate(csv.reader(read_text(path, problems)) if path else (), start=1):
        if not row:
            continue
        try:
            box = [float(value) for value in row[1:5]]
        except ValueError:
            box = []
        if len(box) != 4 or not np.isfinite(box).all() or box[0] >= box[2] or box[1] >= box[3]:
            problems.add(
                path, number, "has no box of four numbers x1 < x2, y1 < y2 in columns 2 to 5"
            )
        else:
            boxes[row[0]] = tuple(box)
    return boxes
