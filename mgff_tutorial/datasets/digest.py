"""What a data set consists of, in a few hundred bytes: so that a run is continued with the images
that it began with.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

SAMPLE = 4096  # bytes from the middle of a file; together with its size they tell files apart


def fingerprint(train_set, test_set):
    """Classes, and for each split and class the number of images and a digest of their names, sizes
    and a sample of their bytes; folders above the data set do not count.

    Returns:
        dict of JSON values: ``classes``; ``train`` and ``test``: {class: [images, digest]};
        ``order``: {split: digest of the order of its images}.
    """
    found = {"classes": list(train_set.classes), "order": {}}
    for split, images in (("train", train_set), ("test", test_set)):
        with ThreadPoolExecutor(8) as pool:  # a file server answers several at once
            each = list(pool.map(lambda i: _image(images, i), range(len(images))))
        found["order"][split] = _digest(each)
        groups = {}
        for label, text in zip(images.labels, each):
            groups.setdefault(images.classes[label], []).append(text)
        found[split] = {
            name: [len(texts), _digest(sorted(texts))] for name, texts in groups.items()
        }
    return found


def _image(images, index):
    """Text that changes with the image and its label."""
    label, paths = images.classes[images.labels[index]], getattr(images, "paths", None)
    if not paths:  # a data set of the user's own, without files
        return f"{label}|{index}"
    path, root = paths[index], getattr(images, "root", None)
    name = os.path.relpath(path, root) if root else os.path.basename(path)
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, (size - SAMPLE) // 2))
            return f"{label}|{name}|{size}|{hashlib.sha256(stream.read(SAMPLE)).hexdigest()}"
    except (OSError, ValueError):  # reported when the image is opened
        return f"{label}|{name}|missing"


def _digest(texts):
    whole = hashlib.sha256()
    for text in texts:
        whole.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return whole.hexdigest()[:16]


_SPLIT = (
    lambda v: isinstance(v, dict) and all(isinstance(p, list) and len(p) == 2 for p in v.values()),
    "{class: [images, digest]}",
)
SHAPE = {  # of what `fingerprint` returns
    "classes": (
        lambda v: isinstance(v, list) and all(isinstance(name, str) for name in v),
        "the names of the classes",
    ),
    "train": _SPLIT,
    "test": _SPLIT,
    "order": (lambda v: isinstance(v, dict), "{split: digest}"),
}


def difference(before, now):
    """How data differ, in a few words; None if they do not.

    Args:
        before, now: from `fingerprint`.
    """
    old, new = before["classes"], now["classes"]
    if old != new:
        words = [f"class {name!r} is gone" for name in old if name not in new][:1]
        words += [f"class {name!r} is new" for name in new if name not in old][:1]
        return " and ".join(words) or "the classes are in another order"
    for split in ("train", "test"):
        for name in new:
            was, is_now = (values[split].get(name, [0, ""]) for values in (before, now))
            if was[0] != is_now[0]:
                return f"class {name!r} had {was[0]} {split} images and has {is_now[0]}"
            if was != is_now:
                return f"the {split} images of class {name!r} are others"
    return None if before["order"] == now["order"] else "the images come in another order"
