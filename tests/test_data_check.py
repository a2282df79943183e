"""`data check`: every problem in one pass, with file and line, and never a crash whatever the files
hold.
"""

import argparse
import shutil
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from trees import (
    cars_devkit,
    cars_single,
    class_folders,
    cub_tree,
    nabirds_tree,
    noise,
    pets_tree,
    picture,
    write,
)

from mgff_tutorial.commands import add_command
from mgff_tutorial.commands.data import PARSER
from mgff_tutorial.datasets import DATASETS, open_dataset
from mgff_tutorial.datasets.check import check_dataset
from mgff_tutorial.support.errors import DataError, InputError

pytestmark = pytest.mark.filterwarnings("ignore::mgff_tutorial.datasets.CountWarning")

TREES = {
    "cub": cub_tree,
    "cars": cars_devkit,
    "pets": pets_tree,
    "nabirds": nabirds_tree,
    "sketchbirds": cub_tree,
    "folder": class_folders,
}


def command(*words):
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(), "data", **PARSER)
    args = parser.parse_args(["data", *map(str, words)])
    return args.run(args)


@pytest.mark.parametrize("name", TREES)
def test_sound_trees_have_no_problems(tmp_path, name):
    TREES[name](tmp_path)
    report = check_dataset(name, tmp_path)
    assert report.errors == [] and report.images == report.opened > 0
    assert command("check", name, "--root", tmp_path) == 0
    assert set(TREES) == set(DATASETS)


def test_cars_single_and_class_folders(tmp_path):
    cars_single(tmp_path / "a")
    class_folders(tmp_path / "b" / "train")
    class_folders(tmp_path / "b" / "test")
    for layout in "ab":
        report = check_dataset("cars", tmp_path / layout)
        assert report.errors == [] and report.images == report.opened > 0


def test_all_problems_in_one_pass(tmp_path, capsys):
    cub_tree(tmp_path)
    images = tmp_path / "images"
    (images / "001.Bird_0" / "Bird_0_0.jpg").unlink()
    broken = noise(images / "001.Bird_0" / "Bird_0_1.jpg")
    broken.write_bytes(broken.read_bytes()[:500])
    (images / "002.Bird_1" / "Bird_1_0.jpg").write_text("404 not found")
    (images / "002.Bird_1" / "Bird_1_1.jpg").unlink()
    (images / "002.Bird_1" / "Bird_1_1.jpg").symlink_to("Bird_1_1.jpg")
    lines = (tmp_path / "bounding_boxes.txt").read_text().splitlines()
    lines[6], lines[7] = "7 100 3 20 12", "8 4 3 20"
    write(tmp_path / "bounding_boxes.txt", *lines)
    lines = (tmp_path / "train_test_split.txt").read_text().splitlines()
    write(tmp_path / "train_test_split.txt", *lines[:8], "9 maybe", *lines[9:])
    write(tmp_path / "parts" / "part_locs.txt", "10 1 5 5 1", "11 1 5 x 1")
    assert command("check", "cub", "--root", tmp_path) == 1
    printed = capsys.readouterr().out
    for words in (
        ["images.txt:1:", "does not exist"],
        ["images.txt:2:", "cut off"],
        ["images.txt:5:", "not an image"],
        ["images.txt:6:"],
        ["images.txt:7:", "outside"],
        ["bounding_boxes.txt:8:", "4 columns"],
        ["train_test_split.txt:9:", "'maybe'"],
        ["part_locs.txt:2:", "'x'"],
    ):
        assert any(all(word in line for word in words) for line in printed.splitlines()), words
    assert "10 problems" in printed  # the eight, and rows 8 and 9 that lack a box and a split


def test_quick_reads_headers_only(tmp_path):
    cub_tree(tmp_path)
    broken = noise(tmp_path / "images" / "001.Bird_0" / "Bird_0_1.jpg")
    broken.write_bytes(broken.read_bytes()[:-500])
    assert command("check", "cub", "--root", tmp_path, "--quick") == 0
    assert command("check", "cub", "--root", tmp_path) == 1


def test_notes_do_not_fail(tmp_path, capsys):
    cub_tree(tmp_path)
    folder = tmp_path / "images" / "001.Bird_0"
    (folder / "Thumbs.db").write_bytes(b"x")
    shutil.copy(folder / "Bird_0_0.jpg", folder / "Bird_0_1.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(folder / "Bird_0_2.jpg", exif=exif)
    with open(tmp_path / "train_test_split.txt", "a") as file:
        file.write("12 0\n99 1\n")
    lines = (tmp_path / "bounding_boxes.txt").read_text().splitlines()
    write(tmp_path / "bounding_boxes.txt", *lines[:6], "7 4 3 60 12", *lines[7:])
    (tmp_path / "classes.txt").write_bytes(
        (tmp_path / "classes.txt").read_bytes().replace(b"Bird_2", b"V\xf6gel")
    )
    assert command("check", "cub", "--root", tmp_path) == 0
    notes = capsys.readouterr().out
    for words in (
        "Thumbs.db",
        "Bird_0_1.jpg (test) has the same bytes as Bird_0_0.jpg (training)",
        "turned by its EXIF orientation (6)",
        "repeats the row of image_id 12",
        "1 rows for images",
        "it is clipped",
        "Latin-1",
        "the published split has 5,994",
    ):
        assert words in notes, words
    command("check", "cub", "--root", tmp_path, "--no-notes")
    assert "Thumbs" not in capsys.readouterr().out


def test_annotated_size_that_differs(tmp_path):
    """Boxes of resized copies are wrong, silently; sizes.txt and the XML files give them away."""
    nabirds_tree(tmp_path / "n")
    pets_tree(tmp_path / "p")
    picture(next((tmp_path / "n" / "images").rglob("*.jpg")), size=(20, 15))
    picture(tmp_path / "p" / "images" / "Abyssinian_1.jpg", size=(20, 15))
    for name in "np":
        report = check_dataset({"n": "nabirds", "p": "pets"}[name], tmp_path / name)
        assert any("was annotated at 40 x 30" in str(problem) for problem in report.errors)


def test_cars_without_test_labels_is_a_note(tmp_path):
    cars_devkit(tmp_path, labelled=None)
    report = check_dataset("cars", tmp_path)
    assert report.errors == [] and any("withlabels" in str(note) for note in report.notes)


def test_missing_data_set(tmp_path, capsys):
    assert command("check", "cub", "--root", tmp_path / "none") == 1
    assert "does not exist" in capsys.readouterr().out
    with pytest.raises(InputError, match="cub"):
        check_dataset("cup", tmp_path)


def test_unpack_command(tmp_path, capsys):
    cub_tree(tmp_path / "tree" / "CUB_200_2011")
    with tarfile.open(tmp_path / "cub.tgz", "w:gz") as tar:
        tar.add(tmp_path / "tree" / "CUB_200_2011", "CUB_200_2011")
    assert command("unpack", tmp_path / "cub.tgz", "--to", tmp_path / "out") == 0
    assert command("check", "cub", "--root", tmp_path / "out") == 0
    assert command("unpack", tmp_path / "cub.tgz", "--to", tmp_path / "out") == 1
    assert "there already" in capsys.readouterr().err


LINES = st.one_of(
    st.sampled_from(
        [
            "",
            "1",
            "1 1",
            "1 1 1",
            "1 2 3 4 5",
            "-1 0",
            "x y",
            "nan nan",
            "1 1e400",
            "a " * 40,
            "1 001.Bird_0/Bird_0_0.jpg",
            "1 /etc/passwd",
            "# note",
            "²  ³",
            "1 \x00",
        ]
    ),
    st.text(max_size=20),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_fuzzed_text_files(tmp_path_factory, data):
    """Rows cut, doubled, swapped and replaced, other encodings: `data check` reports, the reader
    refuses or reads.
    """
    root = tmp_path_factory.mktemp("fuzz")
    name = data.draw(st.sampled_from(["cub", "pets", "nabirds"]))
    TREES[name](root)
    files = sorted(path for path in root.rglob("*.txt"))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(files))
        lines = path.read_bytes().decode("utf-8", "replace").split("\n")
        at = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["replace", "double", "drop", "cut", "encode", "swap"]))
        if kind == "replace":
            lines[at] = data.draw(LINES)
        elif kind == "double":
            lines.insert(data.draw(st.integers(0, len(lines))), lines[at])
        elif kind == "drop":
            del lines[at]
        elif kind == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, 8))]
        elif kind == "swap":
            lines[at] = " ".join(reversed(lines[at].split()))
        encoding = (
            data.draw(st.sampled_from(["utf-8-sig", "utf-16", "latin-1"]))
            if kind == "encode"
            else "utf-8"
        )
        path.write_bytes("\n".join(lines).encode(encoding, "replace"))
    report = check_dataset(name, root, workers=1)
    for split in ("train", "test"):
        try:
            dataset = open_dataset(name, root, split)
            _ = dataset.boxes, dataset.parts
        except DataError:
            continue
        assert len(dataset) == len(dataset.labels) == len(dataset.paths) > 0
        assert all(0 <= label < len(dataset.classes) for label in dataset.labels)
        for i in range(len(dataset)):
            try:
                dataset[i]
            except (
                DataError
            ) as error:  # whatever training would stumble over, `data check` has said before
                assert report.errors, error


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=120),
    st.sampled_from(
        [
            "images.txt",
            "classes.txt",
            "image_class_labels.txt",
            "train_test_split.txt",
            "bounding_boxes.txt",
            "parts/parts.txt",
            "parts/part_locs.txt",
        ]
    ),
)
def test_random_bytes_as_text_file(tmp_path_factory, raw, file):
    root = cub_tree(tmp_path_factory.mktemp("raw"))
    (root / file).write_bytes(raw)
    check_dataset("cub", root, workers=1)


def test_text_files_truncated_at_every_tenth_byte(tmp_path):
    cub_tree(tmp_path, classes=2)
    for file in (
        "images.txt",
        "classes.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
    ):
        whole = (tmp_path / file).read_bytes()
        for cut in range(0, len(whole), 10):
            (tmp_path / file).write_bytes(whole[:cut])
            check_dataset("cub", tmp_path, workers=1)
        (tmp_path / file).write_bytes(whole)


@pytest.mark.parametrize("name", TREES)
def test_loop_of_links(tmp_path, name):
    TREES[name](tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path)
    for folder in sorted(
        path for path in tmp_path.rglob("*") if path.is_dir() and not path.is_symlink()
    ):
        (folder / "loop").symlink_to(folder)
        (folder / "self.txt").symlink_to(folder / "self.txt")
    check_dataset(name, tmp_path)


def test_text_file_that_is_a_loop_or_a_folder(tmp_path):
    cub_tree(tmp_path)
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "classes.txt").symlink_to("classes.txt")
    (tmp_path / "train_test_split.txt").unlink()
    (tmp_path / "train_test_split.txt").mkdir()
    report = check_dataset("cub", tmp_path)
    assert any("classes.txt: cannot be read" in str(problem) for problem in report.errors)
    assert any("train_test_split.txt: cannot be read" in str(problem) for problem in report.errors)
