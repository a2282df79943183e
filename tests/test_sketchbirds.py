"""SketchBirds on disk: the layout of CUB, checksums that notice, a command that refuses what it
cannot do.
"""

import argparse
import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from mgff_tutorial.commands import add_command
from mgff_tutorial.commands.render import PARSER
from mgff_tutorial.renderer import dataset as sketchbirds
from mgff_tutorial.renderer import render
from mgff_tutorial.renderer.dataset import (
    compare_with_render,
    ensure_sketchbirds,
    entries,
    verify_sketchbirds,
    write_sketchbirds,
)
from mgff_tutorial.renderer.species import PART_NAMES, SPECIES
from mgff_tutorial.support.errors import DataError, InputError


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A data set of 20 x (1 + 1) pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketchbirds, "IMAGES_PER_SPLIT", 1)
        return write_sketchbirds(tmp_path_factory.mktemp("birds") / "sketchbirds", progress=False)


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small, tmp_path / "copy")


def run(*words):
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(), "render", **PARSER)
    args = parser.parse_args(["render", *map(str, words)])
    return args.run(args)


def rows(path):
    return [line.split() for line in path.read_text().splitlines()]


def test_the_plan_has_1200_pictures_with_seeds_of_their_own():
    plan = entries()
    assert (
        len(plan) == 1200
        and len({e.seed for e in plan}) == 1200
        and len({e.path for e in plan}) == 1200
    )
    for label in range(20):
        assert sum(e.label == label and e.train for e in plan) == 30
        assert sum(e.label == label and not e.train for e in plan) == 30
    assert {e.seed for e in plan if e.train}.isdisjoint(e.seed for e in plan if not e.train)
    assert max(e.seed for e in plan) < 10_000_000  # where pretraining begins


def test_a_larger_training_set_begins_with_the_usual_one_and_keeps_its_test_pictures():
    usual, larger = entries(), entries(1000)
    assert len(larger) == 20 * 1030 and len({e.seed for e in larger}) == len(
        {e.path for e in larger}
    ) == len(larger)
    assert set(usual) <= set(larger) and [e for e in usual if not e.train] == [
        e for e in larger if not e.train
    ]
    assert {e.seed for e in larger if e.train}.isdisjoint(e.seed for e in larger if not e.train)
    for wrong in (0, 1001, 2.5):
        with pytest.raises(InputError, match="training_images must be an integer from 1 to 1000"):
            entries(wrong)


def test_other_training_sets_are_drawn_into_the_cache(tmp_path, monkeypatch):
    from mgff_tutorial import SketchBirds

    monkeypatch.setenv("MGFF_CACHE", str(tmp_path))
    monkeypatch.setattr(sketchbirds, "IMAGES_PER_SPLIT", 1)
    monkeypatch.setattr(SketchBirds, "published", (20, 20, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train = SketchBirds(
            "train", training_images=2
        )  # without a warning: it has as many as were asked for
    assert (
        len(train) == 40
        and train.root == tmp_path / "sketchbirds-2"
        and len(SketchBirds("test", training_images=2)) == 20
    )
    assert verify_sketchbirds(train.root).ok and compare_with_render(train.root, every=20).ok


def test_layout_of_cub(small):
    assert [
        len(rows(small / f"{n}.txt"))
        for n in ("images", "image_class_labels", "train_test_split", "bounding_boxes", "scenes")
    ] == [40] * 5
    assert rows(small / "classes.txt")[2] == ["3", "003.Spotted_Marsh_Pipit"]
    assert [name for _, name in rows(small / "parts" / "parts.txt")] == PART_NAMES
    assert len(rows(small / "parts" / "part_locs.txt")) == 40 * len(PART_NAMES)
    assert len(rows(small / "genera.txt")) == 20 and len(rows(small / "part_codes.txt")) == 120
    for (_number, path), (_, x, y, width, height) in zip(
        rows(small / "images.txt"), rows(small / "bounding_boxes.txt")
    ):
        with Image.open(small / "images" / path) as image:
            assert image.size == (256, 256) and image.format == "JPEG"
        assert (
            0 <= float(x) < float(x) + float(width) <= 256
            and 0 <= float(y) < float(y) + float(height) <= 256
        )


def test_pictures_and_truth_are_the_renderers(small):
    number, seed = rows(small / "scenes.txt")[7][:2]
    path = rows(small / "images.txt")[7][1]
    scene = render(int(path[:3]) - 1, int(seed))
    with Image.open(small / "images" / path) as image:
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(scene.image)).mean() < 4
    x, y, width, height = (float(v) for v in rows(small / "bounding_boxes.txt")[7][1:])
    assert (x, y, x + width, y + height) == scene.box
    for (_, _part, x, y, visible), name in zip(
        (r for r in rows(small / "parts" / "part_locs.txt") if r[0] == number), PART_NAMES
    ):
        assert bool(int(visible)) == scene.parts[name][2]
        if scene.parts[name][2]:
            assert np.allclose([float(x), float(y)], scene.parts[name][:2], atol=0.06)


def test_codes_on_disk_are_those_of_the_species(small):
    for class_id, part_id, code in rows(small / "part_codes.txt"):
        assert (
            SPECIES[int(class_id) - 1].code(PART_NAMES[int(part_id) - 1]).replace(" ", "_") == code
        )


def test_verify_finds_changed_missing_and_extra_files(copy):
    assert verify_sketchbirds(copy).ok
    pictures = sorted((copy / "images").rglob("*.jpg"))
    pictures[0].write_bytes(pictures[0].read_bytes()[:-1] + b"\0")
    pictures[1].unlink()
    (copy / "notes.txt").write_text("seen in May")
    report = verify_sketchbirds(copy)
    assert not report.ok and report.extra == ["notes.txt"]
    assert report.changed == [pictures[0].relative_to(copy).as_posix()]
    assert report.missing == [pictures[1].relative_to(copy).as_posix()]
    assert "1 missing, 1 changed" in str(report)


def test_compare_finds_another_picture(copy, monkeypatch):
    monkeypatch.setattr(sketchbirds, "IMAGES_PER_SPLIT", 1)
    assert compare_with_render(copy, every=8).ok
    plan = entries()
    shutil.copy(copy / "images" / plan[8].path, copy / "images" / plan[0].path)
    comparison = compare_with_render(copy, every=8)
    assert comparison.beyond == [plan[0].path] and comparison.differences[0] > 2
    (copy / "images" / plan[0].path).write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        compare_with_render(copy, every=8)


def test_nothing_else_is_overwritten_and_nothing_half_written(small, tmp_path, monkeypatch):
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("one")
    with pytest.raises(InputError, match="holds something else"):
        write_sketchbirds(other)
    monkeypatch.setattr(sketchbirds, "render", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_sketchbirds(tmp_path / "new", progress=False)
    assert sorted(os.listdir(tmp_path)) == ["thesis"]


def test_ensure_draws_into_the_cache_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path))
    monkeypatch.setattr(sketchbirds, "IMAGES_PER_SPLIT", 1)
    monkeypatch.setattr(sketchbirds, "sketchbirds_dir", lambda: tmp_path / "sketchbirds")
    root = ensure_sketchbirds()
    assert root == tmp_path / "sketchbirds" and verify_sketchbirds(root).ok
    monkeypatch.setattr(sketchbirds, "write_sketchbirds", lambda *_: pytest.fail("drawn twice"))
    assert ensure_sketchbirds() == root
    assert os.listdir(tmp_path) == ["sketchbirds"]


def test_the_embedded_data_set_is_whole():
    root = sketchbirds.sketchbirds_dir()
    if not (root / "images.txt").is_file():
        pytest.skip("no checkout: SketchBirds are drawn into the cache on first use")
    report = verify_sketchbirds(root)
    assert report.ok and len(report.listed) == 1211, str(report)
    assert compare_with_render(root, every=150).ok


def test_command_draws_one_picture_and_a_sheet(tmp_path, capsys):
    assert (
        run(
            "--species",
            "Crested Marsh Pipit",
            "--seed",
            3,
            "--size",
            64,
            "--out",
            tmp_path / "a" / "bird.png",
        )
        == 0
    )
    assert "Crested Marsh Pipit" in capsys.readouterr().out
    assert Image.open(tmp_path / "a" / "bird.png").size == (64, 64)
    assert run("--sheet", tmp_path / "sheet.png", "--size", 48) == 0
    assert Image.open(tmp_path / "sheet.png").width == 4 * 48


def test_command_verifies(copy, capsys):
    assert run("--verify", "--out", copy) == 0
    next((copy / "images").rglob("*.jpg")).unlink()
    assert run("--verify", "--out", copy) == 1
    assert "1 missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "Nothing to draw"),
        (["--training-images", "9", "--verify"], "belongs to --out DIR"),
        (["--species", "3"], "--out"),
        (["--out", "bird.png"], "--species"),
        (["--species", "99", "--out", "x.png"], "0 to 19"),
        (["--species", "0", "--out", "x.exe"], "ending"),
        (["--species", "0", "--verify", "--out", "x.png"], "--verify"),
    ],
)
def test_command_refuses(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run(*words)
    assert os.listdir(tmp_path) == []


def test_verify_without_checksums(tmp_path):
    with pytest.raises(DataError, match="checksums.txt"):
        verify_sketchbirds(tmp_path)
