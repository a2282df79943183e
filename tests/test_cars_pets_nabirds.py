"""Stanford Cars, Oxford-IIIT Pets and NABirds in every layout that circulates, each oddity in a
test of its own.
"""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from trees import (
    CARS,
    cars_devkit,
    cars_single,
    cars_struct,
    class_folders,
    nabirds_tree,
    pets_tree,
    pets_xml,
    picture,
    write,
)

from mgff_tutorial.datasets import CountWarning, NABirds, OxfordPets, StanfordCars, open_dataset
from mgff_tutorial.support.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::mgff_tutorial.datasets.CountWarning")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refuses(build, *words):
    with pytest.raises(DataError) as failure:
        build()
    for word in words:
        assert str(word) in str(failure.value)


# --- Stanford Cars ----------


@pytest.mark.parametrize(
    "labelled,devkit,nested",
    [
        ("devkit", "devkit", False),
        (".", "devkit", False),
        ("devkit", "devkit", True),
        (".", "car_devkit/devkit", True),
    ],
)
def test_cars_devkit(tmp_path, labelled, devkit, nested):
    root = cars_devkit(
        tmp_path / "stanford_cars", labelled if labelled == "." else devkit, devkit, nested
    )
    for start in (root, tmp_path, root / devkit):
        train, test = StanfordCars(start, "train"), StanfordCars(start, "test")
        assert (
            train.classes == CARS
            and train.labels == test.labels == [0, 1, 0, 1]
            and type(train.labels[0]) is int
        )
        assert train.boxes.tolist() == [[3, 4, 30, 20]] * 4
        assert train[1][0].size == (40, 30) and train[1][0].getpixel((35, 25))[1] > 100
        assert "cars_train" in str(train.paths[0]) and "cars_test" in str(test.paths[0])
    assert len(StanfordCars(root, "all")) == 8


def test_cars_agree_with_torchvision(tmp_path):
    """Where torchvision's reader accepts the layout, ours gives the same files, labels and
    classes.
    """
    from torchvision.datasets import StanfordCars as Reference

    root = cars_devkit(tmp_path / "stanford_cars", labelled=".")
    for split in ("train", "test"):
        ours, theirs = StanfordCars(root, split), Reference(tmp_path, split)
        assert [
            (str(path), label) for path, label in zip(ours.paths, ours.labels)
        ] == theirs._samples
        assert ours.classes == theirs.classes


def test_cars_test_without_labels_says_what_is_missing(tmp_path):
    cars_devkit(tmp_path, labelled=None)
    assert len(StanfordCars(tmp_path, "train")) == 4
    for split in ("test", "all"):
        refuses(lambda: StanfordCars(tmp_path, split), "cars_test_annos_withlabels.mat is missing")


def test_cars_single_file(tmp_path):
    cars_single(tmp_path / "cars")
    for root in (tmp_path, tmp_path / "cars"):
        train, test = StanfordCars(root, "train"), StanfordCars(root, "test")
        assert train.labels == [0, 1, 0, 1] and test.labels == [0, 1] and test.classes == CARS
        assert test.paths[0].name == "000005.jpg" and test[0][0].size == (40, 30)
        assert test.boxes.tolist() == [[3, 4, 30, 20]] * 2


def test_cars_class_folders(tmp_path):
    class_folders(tmp_path / "train", classes=CARS[:1] + ["Ram C-V Cargo Van"])
    class_folders(tmp_path / "test", classes=["Ram C-V Cargo Van"], per_class=2)
    train, test = StanfordCars(tmp_path, "train"), StanfordCars(tmp_path, "test")
    assert train.labels == [0] * 4 + [1] * 4 and test.labels == [1, 1] and train.boxes is None
    with open(tmp_path / "anno_test.csv", "w", newline="") as file:
        csv.writer(file).writerows([["0.jpg", 1, 2, 30, 20, 2], ["1.jpg", 1, 2, 300, 20, 2]])
    assert StanfordCars(tmp_path, "test").boxes.tolist() == [[1, 2, 30, 20], [1, 2, 40, 20]]
    write(tmp_path / "anno_test.csv", "0.jpg,5,2,3,20,2")
    refuses(lambda: StanfordCars(tmp_path, "test"), "anno_test.csv:1:", "box")
    class_folders(tmp_path / "test", classes=["Lada"])
    refuses(lambda: StanfordCars(tmp_path, "test"), "Lada", "does not have")


def test_cars_with_one_row_and_one_class(tmp_path):
    """MATLAB files give back a scalar where an array has one entry."""
    cars_devkit(tmp_path)
    savemat(
        tmp_path / "devkit" / "cars_meta.mat", {"class_names": np.array([[CARS[0]]], dtype=object)}
    )
    for name in ("cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
        savemat(tmp_path / "devkit" / name, {"annotations": cars_struct(["00001.jpg"], labels=[1])})
    dataset = StanfordCars(tmp_path, "train")
    assert dataset.classes == CARS[:1] and dataset.labels == [0]


def test_cars_damaged_files(tmp_path):
    cars_devkit(tmp_path)
    devkit = tmp_path / "devkit"
    savemat(
        devkit / "cars_train_annos.mat",
        {"annotations": cars_struct(["a.jpg", "../b.jpg"], labels=[1, 9])},
    )
    refuses(lambda: StanfordCars(tmp_path), "cars_train_annos.mat:2:", "class 9", "1 to 2")
    savemat(
        devkit / "cars_train_annos.mat",
        {"annotations": cars_struct(["a.jpg", "../b.jpg"], labels=[1, 1])},
    )
    refuses(lambda: StanfordCars(tmp_path), "cars_train_annos.mat:2:", "leaves")
    savemat(
        devkit / "cars_train_annos.mat",
        {"annotations": cars_struct(["a.jpg", "a.jpg"], labels=[1, 1])},
    )
    refuses(lambda: StanfordCars(tmp_path), "cars_train_annos.mat:2:", "twice")
    savemat(devkit / "cars_train_annos.mat", {"annotations": np.arange(5)})
    refuses(lambda: StanfordCars(tmp_path), "no field 'fname'")
    savemat(devkit / "cars_train_annos.mat", {"other": 1})
    refuses(lambda: StanfordCars(tmp_path), "holds no variable 'annotations'")
    (devkit / "cars_train_annos.mat").write_bytes(b"<html>gone</html>" * 20)
    refuses(lambda: StanfordCars(tmp_path), "cars_train_annos.mat", "not a readable MATLAB file")
    (devkit / "cars_train_annos.mat").unlink()
    refuses(lambda: StanfordCars(tmp_path), "cars_train_annos.mat", "is missing")


def test_cars_truncated_mat_at_every_tenth_byte(tmp_path):
    cars_devkit(tmp_path)
    path = tmp_path / "devkit" / "cars_train_annos.mat"
    whole = path.read_bytes()
    for cut in range(0, len(whole), max(10, len(whole) // 60)):
        path.write_bytes(whole[:cut])
        try:
            assert StanfordCars(tmp_path).labels == [0, 1, 0, 1]
        except DataError as error:
            assert "cars_train_annos.mat" in str(error)


def test_cars_missing_root_says_the_address_is_gone(tmp_path):
    refuses(lambda: StanfordCars(tmp_path), "address", "gone", "data/README.md")


# --- Oxford-IIIT Pets ----------


def test_pets(tmp_path):
    root = pets_tree(tmp_path / "oxford-iiit-pet")
    for start in (root, tmp_path, root / "annotations"):
        train, test = OxfordPets(start, "train"), OxfordPets(start, "test")
        assert train.classes == ["Abyssinian", "american_bulldog", "Bengal"] and train.species == [
            "cat",
            "dog",
            "cat",
        ]
        assert train.labels == test.labels == [0, 0, 1, 1, 2, 2]
        assert train.boxes.tolist() == [[5, 6, 17, 18]] * 6 and test.boxes is None
        assert train[0][0].size == (40, 30)


def test_pets_agree_with_torchvision(tmp_path):
    from torchvision.datasets import OxfordIIITPet as Reference

    pets_tree(tmp_path / "oxford-iiit-pet")
    for split, name in (("train", "trainval"), ("test", "test")):
        ours, theirs = OxfordPets(tmp_path, split), Reference(tmp_path, name)
        assert [str(path) for path in ours.paths] == [str(path) for path in theirs._images]
        assert ours.labels == theirs._labels
        assert [name.replace("_", " ").title() for name in ours.classes] == theirs.classes


def test_pets_images_in_other_formats_and_unlisted_files(tmp_path):
    pets_tree(tmp_path)
    images = tmp_path / "images"
    Image.new("RGBA", (40, 30), (0, 128, 0, 255)).save(images / "Abyssinian_1.jpg", format="PNG")
    Image.new("P", (40, 30), 3).save(images / "Abyssinian_3.jpg", format="GIF")
    (images / "Abyssinian_100.mat").write_bytes(b"MATLAB 5.0")
    picture(images / "Abyssinian_999.jpg")
    dataset = OxfordPets(tmp_path, "train")
    assert len(dataset) == 6
    assert all(dataset[i][0].mode == "RGB" and dataset[i][0].size == (40, 30) for i in range(6))


def test_pets_images_without_a_head_box(tmp_path):
    pets_tree(tmp_path)
    (tmp_path / "annotations" / "xmls" / "Abyssinian_3.xml").unlink()
    boxes = OxfordPets(tmp_path, "train").boxes
    assert torch.isnan(boxes[1]).all() and boxes[0].tolist() == [5, 6, 17, 18]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation>",
        "<annotation/>",
        pets_xml("x", (9, 9, 3, 3)),
        pets_xml("x", ("a", 2, 3, 4)),
        "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>",
    ],
)
def test_pets_damaged_head_box(tmp_path, text):
    pets_tree(tmp_path)
    write(tmp_path / "annotations" / "xmls" / "Abyssinian_3.xml", text)
    dataset = OxfordPets(tmp_path, "train")  # boxes are for scoring: training does not need them
    refuses(lambda: dataset.boxes, "Abyssinian_3.xml")


def test_pets_head_box_follows_exif(tmp_path):
    """The XML says at which size the box was drawn, and so whether the tool had turned the
    picture.
    """
    pets_tree(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 40 x 30, upright 30 x 40
    picture(tmp_path / "images" / "Abyssinian_1.jpg", exif=exif)
    picture(tmp_path / "images" / "Abyssinian_3.jpg", exif=exif)
    write(
        tmp_path / "annotations" / "xmls" / "Abyssinian_3.xml",
        pets_xml("x", (5, 6, 17, 18), size=(30, 40)),
    )
    boxes = OxfordPets(tmp_path, "train").boxes
    assert boxes[0].tolist() == [30 - 18, 5, 30 - 6, 17] and boxes[1].tolist() == [5, 6, 17, 18]


@pytest.mark.parametrize(
    "file,old,new,words",
    [
        (
            "trainval.txt",
            "Abyssinian_1 1 1 1",
            "Abyssinian_1 1 1",
            ["trainval.txt:1:", "3 columns"],
        ),
        (
            "trainval.txt",
            "Abyssinian_1 1 1 1",
            "Abyssinian_1 0 1 1",
            ["trainval.txt:1:", "class_id", "'0'"],
        ),
        (
            "trainval.txt",
            "Abyssinian_1 1 1 1",
            "Abyssinian_1 1 3 1",
            ["trainval.txt:1:", "cat", "'3'"],
        ),
        ("trainval.txt", "Abyssinian_3 1 1", "Abyssinian_3 2 1", ["class 2 is"]),
        ("trainval.txt", "Abyssinian_1 ", "../x_1 ", ["trainval.txt:1:", "leaves"]),
        ("test.txt", "Abyssinian_2 ", "Abyssinian_1 ", ["test.txt:1:", "trainval.txt, line 1"]),
        ("list.txt", "Abyssinian_1 1 1 1", "Abyssinian_1 3 1 1", ["list.txt:3:", "contradicts"]),
    ],
)
def test_pets_malformed_rows(tmp_path, file, old, new, words):
    pets_tree(tmp_path)
    replace(tmp_path / "annotations" / file, old, new)
    refuses(lambda: OxfordPets(tmp_path, "train"), *words)


def test_pets_missing_split_file(tmp_path):
    pets_tree(tmp_path)
    (tmp_path / "annotations" / "test.txt").unlink()
    refuses(lambda: OxfordPets(tmp_path), "test.txt", "is missing")
    refuses(lambda: OxfordPets(tmp_path / "images"), "robots.ox.ac.uk")


# --- NABirds ----------


def test_nabirds(tmp_path):
    root = nabirds_tree(tmp_path / "nabirds")
    for start in (root, tmp_path):
        train, test = NABirds(start, "train"), NABirds(start, "test")
        assert train.classes == [
            "Mallard (Female)",
            "Mallard (Male)",
            "Oak Titmouse",
        ]  # by id, inner nodes left out
        assert train.labels == test.labels == [1, 0, 2] * 2 and train.class_ids == [
            "295",
            "296",
            "1010",
        ]
    assert train[0][1] == 1 and train[0][0].size == (40, 30)
    assert train.boxes.tolist() == [[4, 3, 24, 15]] * 6
    assert train.parts[0].tolist() == [[7, 8, 1], [-1, -1, 0]] and train.part_names == [
        "bill",
        "crown",
    ]
    above = [train.hierarchy[node] for node in train.class_ids]
    assert [train.node_names[node] for node in above][0::2] == ["Ducks, Geese, and Swans", "Birds"]
    assert train.node_names[train.hierarchy[above[0]]] == "Birds"
    assert train.photographers[0] == "Ana María 3" and len(train.photographers) == 6


def test_nabirds_without_extra_files(tmp_path):
    nabirds_tree(tmp_path)
    for name in ("hierarchy.txt", "sizes.txt", "photographers.txt"):
        (tmp_path / name).unlink()
    dataset = NABirds(tmp_path, "train")
    assert (
        dataset.hierarchy == {}
        and dataset.photographers == [""] * 6
        and dataset.boxes.shape == (6, 4)
    )


def test_nabirds_size_decides_about_exif(tmp_path):
    nabirds_tree(tmp_path)
    path = NABirds(tmp_path, "train").paths[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(path, exif=exif)
    assert NABirds(tmp_path, "train").boxes[0].tolist() == [30 - 15, 4, 30 - 3, 24]
    uuid = NABirds(tmp_path, "train").ids[0]
    replace(tmp_path / "sizes.txt", f"{uuid} 40 30", f"{uuid} 30 40")
    assert NABirds(tmp_path, "train").boxes[0].tolist() == [4, 3, 24, 15]


@pytest.mark.parametrize(
    "file,old,new,words",
    [
        ("hierarchy.txt", "295 1", "295 77", ["hierarchy.txt:2:", "class 77"]),
        ("hierarchy.txt", "1 0", "1 296", ["hierarchy.txt", "below itself"]),
        ("sizes.txt", " 40 30", " 0 30", ["sizes.txt:1:", "0 x 30"]),
        ("sizes.txt", " 40 30", " 40", ["sizes.txt:1:", "columns"]),
        ("image_class_labels.txt", " 296", " 12", ["images.txt:1:", "class 12"]),
    ],
)
def test_nabirds_malformed_rows(tmp_path, file, old, new, words):
    nabirds_tree(tmp_path)
    replace(tmp_path / file, old, new)
    refuses(lambda: NABirds(tmp_path, "train"), *words)


# --- all ----------


@pytest.mark.filterwarnings("default::mgff_tutorial.datasets.CountWarning")
@pytest.mark.parametrize(
    "name,tree,words",
    [
        ("cars", cars_devkit, "8,144 and 8,041 of 196"),
        ("pets", pets_tree, "3,680 and 3,669 of 37"),
        ("nabirds", nabirds_tree, "23,929 and 24,633 of 555"),
    ],
)
def test_counts_are_compared(tmp_path, name, tree, words):
    tree(tmp_path)
    with pytest.warns(CountWarning, match=words):
        open_dataset(name, tmp_path)


@pytest.mark.parametrize(
    "name,train,test,classes",
    [
        ("cub", 5994, 5794, 200),
        ("cars", 8144, 8041, 196),
        ("pets", 3680, 3669, 37),
        ("nabirds", 23929, 24633, 555),
    ],
)
def test_published_counts(name, train, test, classes):
    from mgff_tutorial.datasets import DATASETS
    from mgff_tutorial.datasets.base import count_difference

    published = DATASETS[name].published
    assert published == (train, test, classes)
    assert count_difference(name, published, train, test, classes) is None
    assert count_difference(name, published, train - 1, test, classes).count(".") == 1
