"""Boxes that are kept on disk: found once, equal to the last bit, and never those of another
cropper or image.
"""

import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_fakes import Colours, free_port, shared_boxes, small_config, small_net, start

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.datasets import CachedImages, ImageFolderDataset
from mgff_tutorial.evaluation import boxes as module
from mgff_tutorial.evaluation import evaluate
from mgff_tutorial.evaluation.boxes import BoxStore, as_pixels, describe, find_boxes
from mgff_tutorial.models import create_model
from mgff_tutorial.response import RULES, Rule
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.training import train
from mgff_tutorial.two_stage import TwoStageClassifier

torch.set_num_threads(1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "boxes"


@pytest.fixture
def birds(tmp_path):
    """Eleven pictures of different sizes in two class folders."""
    for i in range(11):
        folder = tmp_path / "birds" / f"species_{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Colours(11, size=30 + 3 * i).image(i).save(folder / f"{i:02d}.png")
    return ImageFolderDataset(tmp_path / "birds", split="all")


def cropper(seed=0, **options):
    torch.manual_seed(seed)
    return ViTCropper(create_model("vit_nano", img_size=48), **options)


@pytest.fixture
def counted(monkeypatch):
    """How many images the ViT has looked at so far: a list with one number a batch."""
    looked, find = [], ViTCropper.find

    def counting(self, images):
        looked.append(len(images))
        return find(self, images)

    monkeypatch.setattr(ViTCropper, "find", counting)
    return looked


def test_boxes_are_found_once_and_are_those_of_the_cropper(birds, cache, counted):
    first = find_boxes(birds, cropper(), batch_size=4)
    assert counted == [4, 4, 3] and first.shape == (11, 4) and first.dtype == np.float64
    direct = cropper().find([as_pixels(birds.image(i)) for i in range(4)]).boxes
    assert np.array_equal(first[:4], direct.double().numpy())
    assert len(np.unique(first, axis=0)) > 3
    del counted[:]
    assert np.array_equal(find_boxes(birds, cropper(), batch_size=5), first)
    backwards = birds.subset(range(10, -1, -1))  # another split, another order: the same images
    assert np.array_equal(find_boxes(backwards, cropper()), first[::-1])
    assert not counted and len(list(cache.iterdir())) == 1


def test_images_in_memory_and_files_give_the_same_boxes(birds, tmp_path):
    pixels = [torch.from_numpy(np.array(birds.image(i))).permute(2, 0, 1) for i in range(11)]
    held = find_boxes(birds, cropper(), pixels, folder=tmp_path / "a")
    assert np.array_equal(held, find_boxes(birds, cropper(), folder=tmp_path / "b"))


def changed(name):
    if name == "weights":
        return cropper(seed=1)
    if name == "heads":
        other = cropper()
        other.vit.blocks[0].attn.num_heads *= 2
        return other
    if name == "precision":
        other = cropper()
        other.vit.double()
        return other
    return cropper(
        **{
            "rule": {"rule": "literal"},
            "tau": {"tau": 0.5},
            "padding": {"padding": 0.1},
            "input_size": {"input_size": (48, 32)},
        }[name]
    )


@pytest.mark.parametrize(
    "name", ["weights", "heads", "precision", "rule", "tau", "padding", "input_size"]
)
def test_another_cropper_has_boxes_of_its_own(name):
    assert describe(changed(name)) != describe(cropper())
    assert describe(cropper()) == describe(cropper()) != describe(cropper(), "more")


def test_a_changed_image_is_looked_at_again(birds, cache, counted):
    first = find_boxes(birds, cropper())
    Colours(11, size=90).image(0).save(birds.paths[3])
    del counted[:]
    second = find_boxes(birds, cropper(), batch_size=1)
    assert counted == [1] and [i for i in range(11) if not np.array_equal(first[i], second[i])] == [
        3
    ]
    assert second[3, 2:].max() > 48


def test_resized_copies_have_boxes_of_their_own(birds, cache, tmp_path):
    whole = find_boxes(birds, cropper())
    small = find_boxes(CachedImages(birds, tmp_path / "resized", 20), cropper())
    assert small.max() <= 20 < whole.max()
    assert np.array_equal(find_boxes(birds, cropper()), whole)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ViTCropper(cropper().vit, rule=Rule(lambda record: RULES["literal"].weigh(record))),
        lambda: SimpleNamespace(
            find=lambda images: SimpleNamespace(boxes=torch.ones(len(images), 4))
        ),
    ],
)
def test_what_has_no_name_is_not_stored(other, birds, cache):
    assert describe(other()) is None
    assert find_boxes(birds, other()).shape == (11, 4) and not cache.exists()
    assert (
        find_boxes(Colours(5), cropper()).shape == (5, 4) and not cache.exists()
    )  # images without files


def test_a_run_that_was_stopped_goes_on(birds, cache, monkeypatch):
    monkeypatch.setattr(module, "SAVE_SECONDS", 0)
    whole, calls = find_boxes(birds, cropper(), folder=cache / "whole", batch_size=2), []

    def stop(images):
        calls.append(len(images))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return cropper().find([as_pixels(image) for image in images]).boxes

    for expected in (4, 6):
        with pytest.raises(KeyboardInterrupt) if expected == 4 else warnings.catch_warnings():
            found = find_boxes(birds, cropper(), find=stop, finder="f", batch_size=2)
        if expected == 4:
            assert len(BoxStore(birds, "f").boxes) == 6
    assert calls == [2, 2, 2, 2, 2, 2, 1] and np.array_equal(found, whole)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other", "nan", "archive"])
def test_a_damaged_file_counts_as_none(damage, birds, cache, counted):
    first = find_boxes(birds, cropper())
    file = next(cache.iterdir())
    rows = np.load(file)
    if damage == "nan":
        rows["box"][2, 1] = np.nan
    if damage == "archive":
        np.savez(cache / "a.npz", rows)
        os.replace(cache / "a.npz", file)
    elif damage in ("nan", "other"):
        np.save(file, rows if damage == "nan" else np.zeros((11, 4)))
    else:
        file.write_bytes({"cut": file.read_bytes()[:300], "empty": b"", "text": b"hello"}[damage])
    del counted[:]
    assert np.array_equal(find_boxes(birds, cropper()), first) and counted == [11]
    assert np.array_equal(np.load(file)["box"].shape, (11, 4))


def test_a_folder_that_cannot_be_written_is_a_note(birds, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="cannot be kept in"):
        found = find_boxes(birds, cropper(), folder=tmp_path / "file" / "boxes")
    assert found.shape == (11, 4) and (tmp_path / "file").read_text() == "in the way"


def test_two_runs_at_once_lose_nothing(birds, cache):
    one, two = (BoxStore(birds, "f") for _ in range(2))
    one.add([0, 1], np.ones((2, 4)))
    two.add([4], np.full((1, 4), 2.0))
    one.save()
    two.save()
    kept = BoxStore(birds, "f")
    assert (
        kept.known([0, 1, 4]).tolist() == [[1.0] * 4] * 2 + [[2.0] * 4]
        and kept.known([0, 2]) is None
    )
    with pytest.raises(KeyError):
        kept.array()


def test_two_processes_share_the_work(birds, cache, tmp_path):
    alone = find_boxes(birds, cropper(), folder=cache / "alone")
    port = free_port()
    together = [
        start(
            shared_boxes,
            str(tmp_path / "birds"),
            str(cache / "two"),
            str(tmp_path / f"{rank}.npy"),
            rank,
            2,
            port,
        )
        for rank in range(2)
    ]
    for process in together:
        process.join()
        assert process.exitcode == 0
    for rank, count in ((0, 6), (1, 5)):
        assert np.allclose(np.load(tmp_path / f"{rank}.npy"), alone, atol=1e-4)
        assert len(np.load(next((cache / "two").glob(f"*-{rank}.npy")))) >= count
    assert len(BoxStore(birds, describe(cropper()), cache / "two").array()) == 11


def classifier():
    torch.manual_seed(3)
    model = create_model("swin_nano", num_classes=2, img_size=48)
    model.card = {
        "classes": ["species_0", "species_1"],
        "img_size": 48,
        "resize": 48,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    return model


def test_a_second_evaluation_asks_no_vit_and_is_equal_to_the_last_bit(birds, cache, counted):
    first = evaluate(classifier(), birds, cropper(), batch_size=4)
    assert counted == [4, 4, 3]
    again = evaluate(classifier(), birds, cropper(), batch_size=4)
    assert counted == [4, 4, 3]
    for stage in ("stage 1", "stage 2", "merged"):
        assert np.array_equal(first[stage].probabilities, again[stage].probabilities), stage
    evaluate(classifier(), birds, cropper(padding=0.2), batch_size=11)
    assert counted == [4, 4, 3, 11]


def test_given_boxes_are_cropped(birds):
    model, images = TwoStageClassifier(classifier(), cropper()), [birds.image(i) for i in range(3)]
    found = model.predict(images)
    given = model.predict(images, batch_size=2, boxes=found.boxes.tolist())
    assert torch.allclose(given.merged, found.merged, atol=1e-6) and torch.equal(
        given.boxes, found.boxes
    )
    whole = [[0.0, 0.0, *image.size] for image in images]
    assert given.response is None and given.fallback.tolist() == [
        box == all_ for box, all_ in zip(found.boxes.tolist(), whole)
    ]
    corner = model.predict(images, boxes=[[0, 0, 9, 7]] * 3)
    assert not corner.fallback.any() and torch.equal(corner.stage1, found.stage1)
    assert not torch.allclose(corner.stage2, found.stage2, atol=1e-4)
    same = model.predict(images, boxes=whole)
    assert torch.equal(same.stage2, same.stage1) and same.fallback.all()


@pytest.mark.parametrize(
    "boxes, error",
    [
        ([[0, 0, 5, 5]], InputError),
        (torch.zeros(3, 5), InputError),
        ("all", TypeError),
        ([[0, 0, 5, 5], [1], [2]], TypeError),
        ([[0, 0, float("nan"), 5]] * 3, InputError),
        ([[900, 0, 950, 5]] * 3, InputError),
    ],
)
def test_bad_boxes(boxes, error, birds):
    with pytest.raises(error, match="box"):
        TwoStageClassifier(classifier(), cropper()).predict(
            [birds.image(i) for i in range(3)], boxes=boxes
        )


@pytest.mark.parametrize("image", [torch.zeros(3, 4, 4), "bird.jpg", None])
def test_pixels_are_pictures(image):
    with pytest.raises(InputError, match="images: expected"):
        as_pixels(image)


# --- training ----------


@pytest.mark.parametrize(
    "changes",
    [
        {"in_memory": True},
        {"in_memory": False},
        {"in_memory": False, "workers": 2},
        {"in_memory": False, "cache": "resized"},
    ],
)
def test_training_finds_boxes_once_and_repeats(
    changes, birds, cache, counted, monkeypatch, tmp_path
):
    """From memory and from files, in this process or in workers: a second run asks no ViT and ends
    in the same weights.
    """
    monkeypatch.setattr(
        "mgff_tutorial.training.loading.load_cropper", lambda *args, **options: cropper()
    )
    if "cache" in changes:
        changes = {**changes, "cache": str(tmp_path / "resized")}
    states = []
    for number in range(2):
        model = small_net(num_classes=2)
        train(
            small_config(
                tmp_path / f"run{number}", epochs=2, close_views=0.5, validation=0, **changes
            ),
            birds,
            birds,
            model,
            progress=False,
        )
        states.append(model.state_dict())
        assert sum(counted) == 11
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    model = small_net(num_classes=2)
    train(
        small_config(tmp_path / "without", epochs=2, validation=0, **changes),
        birds,
        birds,
        model,
        progress=False,
    )
    assert not all(torch.equal(states[0][key], value) for key, value in model.state_dict().items())


def test_close_views_from_files_are_around_the_box(birds):
    from mgff_tutorial.training.loading import CloseViews, SeededImages

    boxes = np.array([[6.0, 4.0, 16.0, 24.0]] * 11)
    seen = []
    views = CloseViews(birds, boxes, 0.5, lambda image: seen.append(image.size) or "close")
    kinds = [SeededImages(views, 0)[epoch, 2][0] for epoch in range(200)]
    assert len(views) == 11 and 60 < sum(kind == "close" for kind in kinds) < 140
    assert all(
        0.85 * 10 <= width <= 1.45 * 10 and 0.85 * 20 <= height <= 1.45 * 20
        for width, height in seen
    )
    assert len(set(seen)) > 3 and SeededImages(views, 0)[0, 2][1] == birds.labels[2]
    assert all(
        SeededImages(CloseViews(birds, boxes, 0.0, None), 0)[0, i][0].size == birds.image(i).size
        for i in range(3)
    )
