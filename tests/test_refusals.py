"""The lower public functions and classes, each with what it can't use: one sentence of ours,
nothing from inside torch.
"""

import copy
import pickle
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from PIL import Image
from torch.utils.data import DataLoader

import mgff_tutorial
from mgff_tutorial import MGFF, SwinTransformer, TwoStageClassifier, ViTCropper, create_model
from mgff_tutorial.cropper import crop_and_resize
from mgff_tutorial.datasets import CachedImages, ImageFolderDataset, open_dataset, open_split
from mgff_tutorial.datasets.transforms import default_resize, denormalise, eval_transform
from mgff_tutorial.evaluation.predict import Predictor, find_images, load_classifier, load_cropper
from mgff_tutorial.models import build_from_checkpoint
from mgff_tutorial.patches import PatchMerging
from mgff_tutorial.response import enlarge, response_map
from mgff_tutorial.support.checkpoints import (
    read_checkpoint,
    save_checkpoint,
)
from mgff_tutorial.support.files import atomic_file
from mgff_tutorial.swin import swin_nano
from mgff_tutorial.windows import WindowAttention

PACKAGE = str(Path(mgff_tutorial.__file__).parent)
torch.set_num_threads(1)
zeros = torch.zeros


def vit():
    torch.manual_seed(0)
    return create_model("vit_nano", img_size=48)


def cropper():
    return ViTCropper(vit())


def classifier():
    torch.manual_seed(1)
    model = swin_nano(num_classes=2, img_size=32).eval()
    model.card = {
        "classes": ["a", "b"],
        "img_size": 32,
        "resize": 32,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    return model


CHANNELS, GRIDS = (2, 4, 6, 6), ((8, 4), (4, 2), (2, 1), (2, 1))


def maps(grid):
    """Four maps of which the first has another grid."""
    return [zeros(2, c, *g) for c, g in zip(CHANNELS, (grid, *GRIDS[1:]))]


REFUSED = {
    "Swin: patch": (lambda: SwinTransformer(patch_size=0), "patch_size"),
    "Swin: width": (lambda: SwinTransformer(embed_dim=2.5), "embed_dim"),
    "Swin: window": (lambda: SwinTransformer(window_size=(0, 2)), "window_size"),
    "Swin: dtype": (lambda: swin_nano()(zeros(1, 3, 9, 9).double()), "images"),
    "Swin: channels": (lambda: swin_nano()(zeros(1, 2, 9, 9)), "images"),
    "Swin: none": (lambda: swin_nano()(None), "images"),
    "MGFF: dim": (lambda: MGFF(CHANNELS, GRIDS, dim=0), "dim"),
    "MGFF: heads": (lambda: MGFF(CHANNELS, GRIDS, heads=5), "heads"),
    "MGFF: super-nodes": (lambda: MGFF(CHANNELS, GRIDS, super_nodes=0), "super_nodes"),
    "MGFF: reduction": (lambda: MGFF(CHANNELS, GRIDS, reduction=8.5), "reduction"),
    "MGFF: order of maps": (lambda: MGFF(CHANNELS, GRIDS[::-1]), "from the finest on"),
    "MGFF: a map too few": (lambda: MGFF(CHANNELS, GRIDS)([None] * 3), "maps"),
    "MGFF: no tensor": (lambda: MGFF(CHANNELS, GRIDS)([None] * 4), "feature map 0"),
    "MGFF: no position": (lambda: MGFF(CHANNELS, GRIDS)(maps(grid=(0, 3))), "feature map 0"),
    "Swin: classes": (lambda: swin_nano().reset_classifier(-1), "num_classes"),
    "enlarge: size": (lambda: enlarge(zeros(1, 2, 3), (0, 4)), "size"),
    "rule of another size": (
        lambda: response_map(vit(), zeros(1, 3, 48, 48), lambda record: zeros(1, 5)),
        "rule",
    ),
    "crop: box": (lambda: crop_and_resize(zeros(3, 4, 4), [4, 0, 4, 2], (2, 2)), "box"),
    "find: nothing": (lambda: cropper().find([]), "images"),
    "find: bytes": (lambda: cropper().find([zeros(3, 4, 4).byte()]), "images"),
    "find: PIL": (lambda: cropper().find([Image.new("RGB", (4, 4))]), "images"),
    "find: no pixel": (lambda: cropper().find([zeros(3, 0, 4)]), "images"),
    "find: one": (lambda: cropper().find(zeros(3, 4, 4)), "images"),
    "default_resize": (lambda: default_resize(0), "img_size"),
    "denormalise": (lambda: denormalise(zeros(3, 4, 4), mean=(1, 2)), "mean"),
    "save: model": (lambda: save_checkpoint("never.safetensors", 5, {}), "model_or_state"),
    "save: card": (lambda: save_checkpoint("never.safetensors", {}, 5), "metadata"),
    "read": (lambda: read_checkpoint(5), "path"),
    "build": (lambda: build_from_checkpoint(None), "path"),
    "find_images": (lambda: list(find_images(None)), "path"),
    "find_images: empty": (lambda: list(find_images("")), "path"),
    "load_classifier": (lambda: load_classifier(5), "path"),
    "load_cropper": (lambda: load_cropper(5), "vit"),
    "Predictor: no card": (lambda: Predictor(vit()), "classifier"),
    "Predictor: top": (lambda: Predictor(classifier(), top=0), "top"),
    "Predictor: one image": (lambda: Predictor(classifier())(Image.new("RGB", (4, 4))), "images"),
    "open_split": (lambda: open_split(5, None, "train"), "data"),
    "folder": (lambda: ImageFolderDataset(5), "root"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_sentence_of_ours(name):
    call, word = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    text = str(caught.value)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(PACKAGE), text
    assert word in text and text.endswith(".") and "\n" not in text, text


def test_what_these_checks_let_through():
    """Empty batches, rectangular windows given as one number, tensors for mean and std."""
    windows = WindowAttention(8, 2, (2, 2))
    assert windows(zeros(0, 4, 8)).shape == (0, 4, 8)
    assert windows(zeros(4, 4, 8), zeros(2, 4, 4)).shape == (4, 4, 8)
    assert PatchMerging(8)(zeros(0, 3, 5, 8)).shape == (0, 2, 3, 16)
    assert torch.equal(
        denormalise(zeros(3, 1, 1), torch.tensor([0.1, 0.2, 0.3]), np.ones(3)).flatten(),
        torch.tensor([0.1, 0.2, 0.3]),
    )
    assert Predictor(classifier())([]) == ([], None)


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"), atomic_file(tmp_path / "d"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


# --- copies ----------

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
MODELS = {
    "swin": (lambda: swin_nano(img_size=32), lambda m: m(torch.ones(2, 3, 32, 32))),
    "mgff": (
        lambda: create_model("mgff_swin_nano", num_classes=3, img_size=32),
        lambda m: m(torch.ones(2, 3, 32, 32)),
    ),
    "literal": (
        lambda: create_model("mgff_swin_nano", num_classes=3, img_size=32, preset="literal"),
        lambda m: m(torch.ones(2, 3, 32, 32)),
    ),
    "resnet": (
        lambda: create_model("mgff_resnet10t", num_classes=3, img_size=64),
        lambda m: m(torch.ones(2, 3, 64, 64)),
    ),
    "cropper": (
        cropper,
        lambda m: m(torch.linspace(-1, 1, 3 * 48 * 48).reshape(1, 3, 48, 48)).response,
    ),
    "two stages": (
        lambda: TwoStageClassifier(classifier(), cropper()),
        lambda m: m.predict(PICTURE).merged,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_copies_pickles_and_state_dicts_give_the_same_numbers(name):
    build, ask = MODELS[name]
    torch.manual_seed(2)
    model = build().eval()
    with torch.no_grad():
        expected = ask(model)
        emptied = copy.deepcopy(model)
        for parameter in emptied.parameters():
            parameter.zero_()
        assert not torch.equal(ask(emptied), expected)
        emptied.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
        for other in (emptied, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(ask(other.eval()), expected)


@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float16, 5e-3), (torch.bfloat16, 3e-2), (torch.float64, 1e-5)]
)
def test_two_stages_in_another_precision(dtype, tolerance):
    """Both models converted at once: pictures follow, and so do the numbers. (They were refused as
    float32.)
    """
    model = TwoStageClassifier(classifier(), cropper())
    expected = model.predict(PICTURE)
    found = copy.deepcopy(model).to(dtype).predict(PICTURE)
    assert torch.allclose(found.stage1, expected.stage1, atol=tolerance)
    assert found.merged.dtype == torch.float32 and found.merged.isfinite().all()


def test_results_can_be_copied():
    result = TwoStageClassifier(classifier(), cropper()).predict(PICTURE)
    for other in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert torch.equal(other.merged, result.merged) and torch.equal(other.boxes, result.boxes)


# --- data sets ----------

TREES = {
    "cub": trees.cub_tree,
    "cars": trees.cars_devkit,
    "pets": trees.pets_tree,
    "nabirds": trees.nabirds_tree,
    "folder": trees.class_folders,
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", TREES)
def test_data_sets_go_into_workers_copies_and_pickles(name, tmp_path):
    data = open_dataset(name, TREES[name](tmp_path / name), "train", eval_transform(16))
    cached = CachedImages(data, tmp_path / "cache", 20)
    for images in (data, cached):
        here = [images[i][0] for i in range(len(images))]
        for other in (copy.deepcopy(images), pickle.loads(pickle.dumps(images))):
            assert torch.equal(other[1][0], here[1]) and other.labels == images.labels
        loaded = torch.cat([batch for batch, _ in DataLoader(images, batch_size=2, num_workers=2)])
        assert torch.equal(loaded, torch.stack(here))
    assert torch.equal(data[-1][0], data[len(data) - 1][0]) and torch.equal(
        data[np.int64(0)][0], data[0][0]
    )
    for index in (slice(0, 2), [0, 1], 0.0, None):
        with pytest.raises(TypeError, match="index must be an integer"):
            data[index]
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("name", ["cub", "cars", "pets", "nabirds"])
def test_boxes_of_every_data_set_follow_the_camera(name, orientation, tmp_path):
    """A dark rectangle where the box is: it is still there after the EXIF tag turned the picture,
    in a cache too.
    """
    data = open_dataset(name, TREES[name](tmp_path / name), "train")
    index = next(i for i in range(len(data)) if not data.boxes[i].isnan().any())
    x0, y0, x1, y1 = (int(v) for v in data.boxes[index])
    image = Image.new("RGB", Image.open(data.paths[index]).size, "white")
    image.paste("black", (x0, y0, x1, y1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(data.paths[index], "JPEG", exif=exif, quality=100, subsampling=0)
    data = open_dataset(name, tmp_path / name, "train")
    for images in (data, CachedImages(data, tmp_path / "cache", 64)):
        dark = np.asarray(images.image(index)).mean(2) < 128
        rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert np.abs(images.boxes[index].numpy() - seen).max() <= 1.5, (images.boxes[index], seen)
