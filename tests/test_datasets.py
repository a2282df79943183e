"""Data sets from tiny trees in each layout, each oddity that circulates, and CUB photographs where
they are at hand.
"""

import os
import pickle
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trees import class_folders, cub_tree, picture, write

from mgff_tutorial.datasets import (
    CUB200,
    CachedImages,
    CountWarning,
    ImageFolderDataset,
    SketchBirds,
    open_dataset,
    readable_name,
    split_validation,
)
from mgff_tutorial.support.errors import DataError, InputError

CUB20 = Path(os.environ.get("MGFF_CUB20", Path(__file__).parents[2] / "shared" / "data" / "cub20"))

pytestmark = pytest.mark.filterwarnings("ignore::mgff_tutorial.datasets.CountWarning")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refuses(build, *words):
    with pytest.raises(DataError) as failure:
        build()
    for word in words:
        assert str(word) in str(failure.value)


# --- CUB ----------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cub(tmp_path, end):
    cub_tree(tmp_path / "CUB_200_2011", end=end)
    for root in (tmp_path, tmp_path / "CUB_200_2011", str(tmp_path)):
        train, test = CUB200(root, "train"), CUB200(root, split="test")
        assert len(train) == len(test) == 6 and len(CUB200(root, "all")) == 12
        assert train.labels == test.labels == [0, 0, 1, 1, 2, 2] and type(train.labels[0]) is int
        assert train.classes == ["001.Bird_0", "002.Bird_1", "003.Bird_2"]
    image, label = train[2]
    assert image.size == (40, 30) and image.mode == "RGB" and label == 1 and type(label) is int
    assert image.getpixel((35, 25))[1] > 100 and image.getpixel((35, 25))[0] < 20  # Bird_1 is green
    assert train.boxes.tolist() == [[4, 3, 24, 15]] * 6
    assert train.parts.shape == (6, 2, 3) and train.part_names == ["beak", "left eye"]
    assert train.parts[0].tolist() == [[10, 5, 1], [0, 0, 0]]
    assert not set(train.paths) & set(test.paths)


def test_cub_transform_and_workers(tmp_path):
    cub_tree(tmp_path)
    dataset = CUB200(tmp_path, "train", transform=np.asarray)
    assert dataset[0][0].shape == (30, 40, 3)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.labels == dataset.labels and torch.equal(again.boxes, dataset.boxes)


def test_cub_ids_start_anywhere(tmp_path):
    cub_tree(
        tmp_path, classes=11, first_image=5000, first_class=95
    )  # 100 must sort after 99, not before 95
    dataset = CUB200(tmp_path, "test")
    assert dataset.classes[4:6] == ["099.Bird_4", "100.Bird_5"]
    assert dataset.labels == [label for label in range(11) for _ in range(2)]
    assert all(
        path.parent.name == dataset.classes[label]
        for path, label in zip(dataset.paths, dataset.labels)
    )


def test_cub_order_of_rows_does_not_matter(tmp_path):
    cub_tree(tmp_path)
    expected = CUB200(tmp_path, "train")
    for name in (
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
        "classes.txt",
    ):
        lines = (tmp_path / name).read_text().splitlines()
        write(tmp_path / name, *lines[::-1])
    shuffled = CUB200(tmp_path, "train")
    assert shuffled.labels == expected.labels and shuffled.classes == expected.classes
    assert shuffled.paths == expected.paths


def test_cub_split_file_with_more_rows_than_images(tmp_path):
    cub_tree(tmp_path)
    for name in ("train_test_split.txt", "image_class_labels.txt"):
        with open(tmp_path / name, "a") as file:
            file.write("900 1\n901 1\n")
    assert len(CUB200(tmp_path, "train")) == 6


def test_cub_stray_files_and_gray_images(tmp_path):
    cub_tree(tmp_path)
    folder = tmp_path / "images" / "001.Bird_0"
    (folder / "Thumbs.db").write_bytes(b"x")
    picture(folder / "._Bird_0_0.jpg")
    Image.new("L", (40, 30), 77).save(folder / "Bird_0_0.jpg")
    dataset = CUB200(tmp_path, "train")
    assert (
        len(dataset) == 6
        and dataset[0][0].mode == "RGB"
        and dataset[0][0].getpixel((9, 9)) == (77, 77, 77)
    )


def test_cub_box_beyond_the_border_is_clipped(tmp_path):
    cub_tree(tmp_path)
    replace(tmp_path / "bounding_boxes.txt", "1 4.0 3.0 20.0 12.0", "1 -5.0 3.0 100.0 200.0")
    assert CUB200(tmp_path, "train").boxes[0].tolist() == [0, 3, 40, 30]


def test_cub_without_boxes_and_parts(tmp_path):
    cub_tree(tmp_path, parts=False)
    (tmp_path / "bounding_boxes.txt").unlink()
    dataset = CUB200(tmp_path, "train")
    assert dataset.boxes is None and dataset.parts is None


def test_cub_byte_order_mark_and_blank_lines(tmp_path):
    cub_tree(tmp_path)
    images = tmp_path / "images.txt"
    images.write_bytes(b"\xef\xbb\xbf" + images.read_bytes() + b"\n\n")
    classes = tmp_path / "classes.txt"
    classes.write_bytes(classes.read_text().encode("utf-16"))
    dataset = CUB200(tmp_path, "train")
    assert len(dataset) == 6 and dataset.classes[0] == "001.Bird_0"


def test_cub_names_with_spaces(tmp_path):
    cub_tree(tmp_path)
    (tmp_path / "images" / "001.Bird_0").rename(tmp_path / "images" / "001.Bird 0")
    replace(tmp_path / "images.txt", "001.Bird_0/", "001.Bird 0/")
    assert CUB200(tmp_path, "train")[0][1] == 0


def test_cub_missing_image_is_named_when_opened(tmp_path):
    cub_tree(tmp_path)
    dataset = CUB200(tmp_path, "train")
    dataset.paths[0].unlink()
    assert len(CUB200(tmp_path, "train").boxes) == 6
    refuses(lambda: dataset[0], dataset.paths[0], "does not exist")


@pytest.mark.parametrize(
    "file,old,new,words",
    [
        ("images.txt", "1 001.Bird_0/Bird_0_0.jpg", "1", ["images.txt:1:", "columns"]),
        ("images.txt", "001.Bird_0/Bird_0_1.jpg", "../../etc/passwd", ["images.txt:2:", "leaves"]),
        ("images.txt", "001.Bird_0/Bird_0_1.jpg", "/etc/passwd", ["images.txt:2:", "leaves"]),
        (
            "images.txt",
            "001.Bird_0/Bird_0_1.jpg",
            "001.Bird_0/Bird_0_0.jpg",
            ["images.txt:2:", "again"],
        ),
        ("images.txt", "\n2 ", "\n1 ", ["images.txt:2:", "contradicts line 1"]),
        ("image_class_labels.txt", "1 1\n", "1 9\n", ["images.txt:1:", "class 9"]),
        (
            "image_class_labels.txt",
            "1 1\n",
            "1 1\n1 2\n",
            ["image_class_labels.txt:2:", "contradicts line 1"],
        ),
        (
            "image_class_labels.txt",
            "1 1\n",
            "",
            ["images.txt:1:", "no row in image_class_labels.txt"],
        ),
        ("train_test_split.txt", "1 1\n", "1 2\n", ["train_test_split.txt:1:", "0 or 1", "'2'"]),
        ("train_test_split.txt", "1 1\n", "", ["images.txt:1:", "no row in train_test_split.txt"]),
        ("bounding_boxes.txt", "1 4.0 3.0", "1 x 3.0", ["bounding_boxes.txt:1:", "'x'"]),
        ("bounding_boxes.txt", "1 4.0 3.0", "1 nan 3.0", ["bounding_boxes.txt:1:", "finite"]),
        (
            "bounding_boxes.txt",
            "1 4.0 3.0 20.0 12.0",
            "1 4.0 3.0 0 12.0",
            ["bounding_boxes.txt:1:", "0 x 12"],
        ),
        (
            "bounding_boxes.txt",
            "1 4.0 3.0 20.0 12.0",
            "1 4.0 3.0",
            ["bounding_boxes.txt:1:", "3 columns"],
        ),
        ("classes.txt", "1 001.Bird_0", "1", ["classes.txt:1:", "columns"]),
    ],
)
def test_cub_malformed_rows_name_file_and_line(tmp_path, file, old, new, words):
    cub_tree(tmp_path)
    replace(tmp_path / file, old, new)
    refuses(lambda: CUB200(tmp_path, "train"), "cub", *words)


@pytest.mark.parametrize("file", ["classes.txt", "image_class_labels.txt", "train_test_split.txt"])
def test_cub_missing_text_file(tmp_path, file):
    cub_tree(tmp_path)
    (tmp_path / file).unlink()
    refuses(lambda: CUB200(tmp_path, "train"), file, "is missing")


def test_cub_bad_parts(tmp_path):
    cub_tree(tmp_path)
    replace(tmp_path / "parts" / "part_locs.txt", "1 2 0.0", "1 7 0.0")
    dataset = CUB200(tmp_path, "train")
    refuses(lambda: dataset.parts, "part_locs.txt:2:", "part 7")


def test_cub_wrong_roots(tmp_path):
    refuses(lambda: CUB200(tmp_path / "none"), "does not exist", "caltech")
    refuses(lambda: CUB200(tmp_path), "images.txt", "caltech")
    write(tmp_path / "file", "x")
    refuses(lambda: CUB200(tmp_path / "file"), "not a folder")
    with pytest.raises(InputError, match="root"):
        CUB200(None)
    cub_tree(tmp_path / "a")
    cub_tree(tmp_path / "b")
    refuses(lambda: CUB200(tmp_path), "more than one")
    with pytest.raises(InputError, match="train"):
        CUB200(tmp_path / "a", split="trian")


@pytest.mark.filterwarnings("default::mgff_tutorial.datasets.CountWarning")
def test_counts_are_compared_in_one_sentence(tmp_path):
    cub_tree(tmp_path)
    with pytest.warns(CountWarning) as caught:
        CUB200(tmp_path)
    assert len(caught) == 1
    assert str(caught[0].message) == (
        "cub: 6 training and 6 test images of 3 classes; the published split has "
        "5,994 and 5,794 of 200."
    )


def test_building_opens_no_image_and_takes_under_a_second(tmp_path):
    """A tree of the size of CUB, without its images."""
    rows = range(1, 11789)
    write(tmp_path / "images.txt", *(f"{i} {i % 200 + 1:03d}.Bird/Bird_{i}.jpg" for i in rows))
    write(tmp_path / "classes.txt", *(f"{c} {c:03d}.Bird" for c in range(1, 201)))
    write(tmp_path / "image_class_labels.txt", *(f"{i} {i % 200 + 1}" for i in rows))
    write(tmp_path / "train_test_split.txt", *(f"{i} {int(i <= 5994)}" for i in rows))
    write(tmp_path / "bounding_boxes.txt", *(f"{i} 1.0 2.0 3.0 4.0" for i in rows))
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the counts are the published ones
        dataset = CUB200(tmp_path, "train")
    assert time.process_time() - start < 1 and len(dataset) == 5994


@pytest.mark.parametrize(
    "orientation,annotated", [(6, "stored"), (8, "stored"), (3, "stored"), (6, "upright")]
)
def test_boxes_and_parts_follow_exif(tmp_path, orientation, annotated):
    """The white corner of the picture is the box; wherever EXIF turns it, the box must be around
    it.
    """
    cub_tree(tmp_path)
    path = tmp_path / "images" / "001.Bird_0" / "Bird_0_0.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (40, 20), "black")
    if annotated == "stored":
        box = (30, 0, 40, 8)
        stored.paste("white", box)
    else:  # upright is 20 x 40; a box at y 30 to 40 does not fit the stored picture
        upright = Image.new("RGB", (20, 40), "black")
        box = (0, 30, 8, 40)
        upright.paste("white", box)
        stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(path, exif=exif, quality=95)
    x0, y0, x1, y1 = box
    replace(
        tmp_path / "bounding_boxes.txt", "1 4.0 3.0 20.0 12.0", f"1 {x0} {y0} {x1 - x0} {y1 - y0}"
    )
    replace(
        tmp_path / "parts" / "part_locs.txt",
        "1 1 10.0 5.0 1",
        f"1 1 {(x0 + x1) / 2} {(y0 + y1) / 2} 1",
    )
    dataset = CUB200(tmp_path, "train")
    x0, y0, x1, y1 = dataset.boxes[0].int().tolist()
    light = np.asarray(dataset[0][0]).mean(axis=2) > 128
    assert light[y0:y1, x0:x1].mean() > 0.95 and light.sum() <= (y1 - y0) * (x1 - x0) * 1.1
    x, y, visible = dataset.parts[0, 0].tolist()
    assert visible == 1 and light[int(y), int(x)]


def test_sketchbirds_is_read_by_the_same_code(tmp_path):
    cub_tree(tmp_path)
    for name, lines in {
        "genera": ["1 1 Marsh_Pipit", "2 1 Marsh_Pipit", "3 2 Longshank"],
        "part_codes": [
            "1 1 cone",
            "1 2 thin_ring",
            "2 1 cone",
            "2 2 plain",
            "3 1 hooked",
            "3 2 plain",
        ],
    }.items():
        write(tmp_path / f"{name}.txt", *lines)
    birds = SketchBirds("test", root=tmp_path)
    assert len(birds) == 6 and birds.boxes.shape == (6, 4)
    assert birds.genera == ["Marsh Pipit", "Marsh Pipit", "Longshank"]
    assert birds.part_codes[0] == {"beak": "cone", "left eye": "thin ring"}
    assert birds.differing_parts(0, 1) == ["left eye"] and birds.differing_parts(0, 2) == [
        "beak",
        "left eye",
    ]
    write(tmp_path / "part_codes.txt", "1 1 cone", "9 1 cone")
    refuses(lambda: birds.part_codes, "part_codes.txt:2:", "class 9")
    (tmp_path / "genera.txt").unlink()
    refuses(lambda: birds.genera, "genera.txt", "missing")


@pytest.mark.filterwarnings("error::mgff_tutorial.datasets.CountWarning")
def test_embedded_sketchbirds():
    train, test = SketchBirds(), SketchBirds("test")
    assert (len(train), len(test), len(train.classes)) == (600, 600, 20)
    assert (
        [train.labels.count(c) for c in range(20)]
        == [test.labels.count(c) for c in range(20)]
        == [30] * 20
    )
    assert len(set(train.genera)) == 5 and all(len(codes) == 6 for codes in train.part_codes)
    image, label = test[0]
    assert image.size == (256, 256) and (test.boxes[:, 2:] > test.boxes[:, :2]).all()
    assert 0 <= test.boxes.min() and test.boxes.max() <= 256
    same = [(a, b) for a in range(20) for b in range(a) if train.genera[a] == train.genera[b]]
    assert len(same) == 30 and all(1 <= len(train.differing_parts(a, b)) <= 3 for a, b in same)


# --- shared: subsets, validation, cache, names
# ----------------------------------------------------------------------


def test_subset_and_validation_split(tmp_path):
    cub_tree(tmp_path, per_class=10)
    dataset = CUB200(tmp_path, "train")
    rest, validation = split_validation(dataset, 0.4, seed=1)
    assert sorted(rest + validation) == list(range(15))
    subset = dataset.subset(validation, transform=np.asarray)
    assert [subset.labels.count(c) for c in range(3)] == [2, 2, 2]
    assert subset[1][0].shape == (30, 40, 3) and dataset[0][0].size == (40, 30)
    assert subset.paths == [dataset.paths[i] for i in validation]
    assert torch.equal(subset.boxes, dataset.boxes[validation])
    assert torch.equal(subset.parts, dataset.parts[validation])
    assert (
        split_validation(dataset, 0.4, seed=1)
        == (rest, validation)
        != split_validation(dataset, 0.4, seed=2)
    )
    with pytest.raises(InputError, match="indices"):
        dataset.subset([99])


def test_parts_of_a_subset_built_before_parts_were_read(tmp_path):
    cub_tree(tmp_path)
    dataset = CUB200(tmp_path, "train")
    assert torch.equal(dataset.subset([3, 1]).parts, dataset.parts[[3, 1]])
    assert torch.equal(dataset.subset([3, 1]).boxes, CUB200(tmp_path, "train").boxes[[3, 1]])


def test_transform_and_seed_are_checked(tmp_path):
    cub_tree(tmp_path)
    with pytest.raises(InputError, match="transform"):
        CUB200(tmp_path, "train", transform="resize")
    for seed in (-1, 1.5, None, True):
        with pytest.raises(InputError, match="seed"):
            split_validation(CUB200(tmp_path, "train"), 0.2, seed)


def test_full_disk_leaves_no_half_image(tmp_path, monkeypatch):
    cub_tree(tmp_path / "tree")
    cached = CachedImages(CUB200(tmp_path / "tree", "train"), tmp_path / "cache", size=20)
    save = Image.Image.save

    def full(image, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert cached[0][0].size == (20, 20)
    monkeypatch.setattr(Image.Image, "save", save)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, "0.1", True, None])
def test_validation_fraction(tmp_path, fraction):
    cub_tree(tmp_path)
    with pytest.raises(InputError, match="fraction"):
        split_validation(CUB200(tmp_path, "train"), fraction)


def test_validation_never_takes_a_whole_class(tmp_path):
    cub_tree(tmp_path, per_class=2)  # one training image a class
    rest, validation = split_validation(CUB200(tmp_path, "train"), 0.9)
    assert len(rest) == 3 and validation == []


def test_cached_images(tmp_path):
    cub_tree(tmp_path / "tree")
    dataset = CUB200(tmp_path / "tree", "train")
    cached = CachedImages(dataset, tmp_path / "cache", size=20, format="png")
    first = np.asarray(cached[0][0])
    expected = np.asarray(dataset[0][0].resize((20, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(first, expected)
    file = cached.cached_path(0)
    assert file.is_file() and not list((tmp_path / "cache").rglob("*.tmp"))
    assert cached.boxes[0].tolist() == [2, 2, 12, 10]
    assert cached.parts[0, 0].tolist() == pytest.approx([5, 10 / 3, 1])
    assert (
        len(cached) == 6 and cached.labels == dataset.labels and cached.classes == dataset.classes
    )
    file.write_bytes(file.read_bytes()[:40])  # a damaged entry is made again
    np.testing.assert_array_equal(np.asarray(cached[0][0]), expected)
    shutil.copy(dataset.paths[2], dataset.paths[0])  # a changed source is noticed
    os.utime(dataset.paths[0], ns=(1, 1))
    assert cached.cached_path(0) != file
    np.testing.assert_array_equal(np.asarray(cached[0][0]), np.asarray(cached[2][0]))
    again = pickle.loads(pickle.dumps(cached.subset([1], transform=np.asarray)))
    assert again[0][0].shape == (20, 20, 3) and again[0][1] == cached.labels[1]


def test_cache_that_cannot_be_written(tmp_path):
    cub_tree(tmp_path / "tree")
    dataset = CUB200(tmp_path / "tree", "train")
    cached = CachedImages(dataset, tmp_path / "cache", size=20)
    shutil.rmtree(tmp_path / "cache")
    write(tmp_path / "cache", "a file in the way")
    with pytest.warns(UserWarning, match="cannot be written"):
        assert cached[0][0].size == (20, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached[1][0].size == (20, 20)
    refuses(lambda: CachedImages(dataset, tmp_path / "cache" / "below"), "cannot be made")
    with pytest.raises(InputError, match="size"):
        CachedImages(dataset, tmp_path / "other", size=0)
    with pytest.raises(InputError, match="format"):
        CachedImages(dataset, tmp_path / "other", format="gif")


def test_open_dataset(tmp_path):
    cub_tree(tmp_path)
    assert isinstance(open_dataset("cub", tmp_path, "test"), CUB200)
    with pytest.raises(InputError, match="did you mean 'cub'"):
        open_dataset("cubs", tmp_path)
    with pytest.raises(InputError, match="root"):
        open_dataset("cub")


@pytest.mark.parametrize(
    "name,text",
    [
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("Boxer", "Boxer"),
        ("BMW M3 Coupe 2012", "BMW M3 Coupe 2012"),
        ("a.b", "a.b"),
    ],
)
def test_readable_name(name, text):
    assert readable_name(name) == text


# --- a folder of class folders
# --------------------------------------------------------------------------------------


def test_folder_is_split_once_class_by_class(tmp_path):
    class_folders(tmp_path)
    train, test = ImageFolderDataset(tmp_path, "train"), ImageFolderDataset(tmp_path, "test")
    assert train.classes == ["ant", "bee", "cat"] and train.labels == [0] * 3 + [1] * 3 + [2] * 3
    assert test.labels == [0, 1, 2] and not set(train.paths) & set(test.paths)
    assert ImageFolderDataset(tmp_path, "test").paths == test.paths and train.boxes is None
    assert len(ImageFolderDataset(tmp_path, "all", test_fraction=0)) == 12


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_folder_with_train_and_test(tmp_path, test_name):
    class_folders(tmp_path / "train")
    class_folders(tmp_path / test_name, classes=("bee", "cat"), per_class=2)
    test = ImageFolderDataset(tmp_path, "test")
    assert test.labels == [1, 1, 2, 2] and len(ImageFolderDataset(tmp_path, "train")) == 12
    class_folders(tmp_path / test_name, classes=("dog",))
    refuses(lambda: ImageFolderDataset(tmp_path, "test"), "dog", "does not have")


def test_folder_leaves_out_what_is_no_image(tmp_path):
    class_folders(tmp_path)
    write(tmp_path / "ant" / "notes.txt", "x")
    picture(tmp_path / "ant" / ".hidden.jpg")
    picture(tmp_path / "ant" / "deeper" / "x.PNG")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert len(ImageFolderDataset(tmp_path, "all")) == 13


def test_folder_with_loops_of_links(tmp_path):
    class_folders(tmp_path)
    (tmp_path / "ant" / "again").symlink_to(tmp_path / "ant")
    (tmp_path / "ant" / "self").symlink_to(tmp_path / "ant" / "self")
    (tmp_path / "bee" / "self.jpg").symlink_to(tmp_path / "bee" / "self.jpg")
    dataset = ImageFolderDataset(tmp_path, "all")
    assert len(dataset) == 13  # the looping .jpg is listed, and reported when opened
    broken = next(i for i, path in enumerate(dataset.paths) if path.name == "self.jpg")
    refuses(lambda: dataset[broken], "self.jpg")


def test_folder_refusals(tmp_path):
    refuses(lambda: ImageFolderDataset(tmp_path / "none"), "none")
    refuses(lambda: ImageFolderDataset(tmp_path), "no class folders")
    class_folders(tmp_path)
    (tmp_path / "dog").mkdir()
    refuses(lambda: ImageFolderDataset(tmp_path), "dog", "no image")
    with pytest.raises(InputError, match="test_fraction"):
        ImageFolderDataset(tmp_path, test_fraction=1)


# --- real data, where it is at hand
# ---------------------------------------------------------------------------------


@pytest.mark.skipif(
    not CUB20.is_dir(), reason="needs 20 classes of CUB-200-2011; set MGFF_CUB20 to their folder"
)
def test_real_photographs():
    train, test = CUB200(CUB20, "train"), CUB200(CUB20, "test")
    assert (len(train), len(test), len(train.classes)) == (600, 515, 20)
    assert all(
        path.parent.name == train.classes[label] for path, label in zip(train.paths, train.labels)
    )
    boxes, parts = test.boxes, test.parts
    assert (
        boxes.shape == (515, 4)
        and (boxes[:, 2:] > boxes[:, :2]).all()
        and parts.shape == (515, 15, 3)
    )
    for index in range(0, 515, 50):
        image, label = test[index]
        width, height = image.size
        assert image.mode == "RGB" and min(width, height) <= 300
        assert (boxes[index] >= 0).all() and boxes[index, 2] <= width and boxes[index, 3] <= height
    # The annotated parts lie on the bird: nearly all visible ones are inside its box.
    inside = [
        ((p[:, :2] >= b[:2] - 2) & (p[:, :2] <= b[2:] + 2)).all(1)[p[:, 2] > 0]
        for p, b in zip(parts, boxes)
    ]
    assert torch.cat(inside).float().mean() > 0.98
