"""Transforms: the paper's geometry, boxes that follow the picture, and one sentence for bad
arguments.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mgff_tutorial.datasets.transforms import (
    box_to_image,
    box_to_input,
    default_resize,
    denormalise,
    eval_transform,
    model_config,
    train_transform,
    transform_with_box,
    transforms_for,
)
from mgff_tutorial.support.errors import InputError


def marked(width, height, box):
    """Black picture with a white rectangle."""
    image = Image.new("RGB", (width, height))
    image.paste("white", tuple(box))
    return image


def extent(tensor):
    """Box around what is light in a tensor of `marked`."""
    rows, columns = torch.nonzero(denormalise(tensor).mean(dim=0) > 0.5, as_tuple=True)
    return torch.tensor(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=torch.float32
    )


@pytest.mark.parametrize("size,resize", [(384, 512), (96, 128), (224, 299), (1, 1)])
def test_default_resize_keeps_the_papers_ratio(size, resize):
    assert default_resize(size) == resize


def test_eval_is_resize_then_centre_crop():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8))
    result = eval_transform(96)(image)
    resized = image.resize((128, 128), Image.Resampling.BILINEAR).crop((16, 16, 112, 112))
    expected = torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1) / 255 * 2 - 1
    assert (
        result.shape == (3, 96, 96)
        and result.dtype == torch.float32
        and type(result) is torch.Tensor
    )
    assert (
        result - expected
    ).abs().max() < 1.6 * 2 / 255  # Pillow rounds to whole grey values, twice


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.data(), st.booleans())
def test_box_follows_eval(width, height, data, whole):
    x0, y0 = data.draw(st.integers(0, width - 8)), data.draw(st.integers(0, height - 8))
    box = (x0, y0, data.draw(st.integers(x0 + 8, width)), data.draw(st.integers(y0 + 8, height)))
    resize = 96 if whole else None
    tensor = eval_transform(96, resize)(marked(width, height, box))
    expected = box_to_input(box, (width, height), 96, resize).clamp(0, 96)
    if (expected[2:] - expected[:2]).min() > 8:
        assert (extent(tensor) - expected).abs().max() <= 2
    back = box_to_image(box_to_input(box, (width, height), 96, resize), (width, height), 96, resize)
    assert (back - torch.tensor(box, dtype=torch.float32)).abs().max() < 1e-3


@pytest.mark.parametrize(
    "options", [{}, {"crop": "resized"}, {"flip": 1.0}, {"flip": 0.0}, {"colour_jitter": 0.1}]
)
def test_box_follows_training_transform(options):
    torch.manual_seed(0)
    transform = train_transform(96, **options)
    for _trial in range(10):
        box = (20, 20, 45, 55)
        tensor, moved = transform_with_box(transform, marked(80, 70, box), box)
        assert tensor.shape == (3, 96, 96) and type(moved) is torch.Tensor
        assert 0 <= moved.min() and moved.max() <= 96
        if (moved[2:] - moved[:2]).min() > 10:
            assert (extent(tensor) - moved).abs().max() <= 2.5


def test_training_transform_varies_and_repeats():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 110, 3), dtype=np.uint8))
    transform = train_transform(96)
    torch.manual_seed(1)
    first, second = transform(image), transform(image)
    torch.manual_seed(1)
    assert torch.equal(first, transform(image)) and not torch.equal(first, second)


def test_flip_mirrors_left_and_right():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    whole = eval_transform(32, resize=32)(image)
    assert torch.allclose(
        train_transform(32, resize=32, flip=1.0)(image), whole.flip(-1), atol=0.02
    )
    assert torch.allclose(train_transform(32, resize=32, flip=0.0)(image), whole, atol=0.02)


def test_crop_is_at_a_random_place():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    transform, whole = (
        train_transform(30, resize=40, flip=0.0),
        eval_transform(40, resize=40)(image),
    )
    torch.manual_seed(0)
    places = set()
    for _ in range(40):
        crop = transform(image)
        found = [
            (y, x)
            for y in range(11)
            for x in range(11)
            if torch.equal(whole[:, y : y + 30, x : x + 30], crop)
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 20 and {0, 10} <= {y for y, _ in places}


def test_mean_and_std():
    grey = Image.new("RGB", (10, 10), (128, 128, 128))
    value = 128 / 255
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 0.2)
    result = eval_transform(8, mean=mean, std=std)(grey)
    expected = (value - torch.tensor(mean)) / torch.tensor(std)
    assert torch.allclose(result[:, 4, 4], expected, atol=1e-6)
    assert torch.allclose(denormalise(result, mean, std), torch.full((3, 8, 8), value), atol=1e-6)


def test_model_config():
    class Model:
        pretrained_cfg = {
            "mean": (0.1, 0.2, 0.3),
            "std": (1, 1, 1),
            "input_size": (3, 160, 160),
            "interpolation": "bicubic",
        }

    assert model_config(Model()) == {
        "mean": (0.1, 0.2, 0.3),
        "std": (1, 1, 1),
        "img_size": 160,
        "interpolation": "bicubic",
    }
    assert transforms_for(Model())(Image.new("RGB", (50, 40))).shape == (3, 160, 160)
    assert transforms_for(Model(), train=True, img_size=96)(Image.new("RGB", (50, 40))).shape == (
        3,
        96,
        96,
    )
    with pytest.raises(InputError, match="pretrained_cfg"):
        model_config(object())


@pytest.mark.parametrize(
    "options,word",
    [
        ({"img_size": 0}, "img_size"),
        ({"img_size": 9.5}, "img_size"),
        ({"img_size": True}, "img_size"),
        ({"img_size": 96, "resize": 64}, "resize"),
        ({"resize": "big"}, "resize"),
        ({"mean": (0.5,)}, "mean"),
        ({"std": (1, 0, 1)}, "std"),
        ({"std": None}, "std"),
        ({"std": (1, float("nan"), 1)}, "std"),
        ({"interpolation": "bilinaer"}, "bilinear"),
    ],
)
def test_bad_arguments(options, word):
    for make in (train_transform, eval_transform):
        with pytest.raises(InputError, match=word):
            make(**options)


@pytest.mark.parametrize(
    "options,word",
    [
        ({"flip": 2}, "flip"),
        ({"erase": -1}, "erase"),
        ({"colour_jitter": -1}, "colour_jitter"),
        ({"crop": "resised"}, "resized"),
        ({"crop": "resized", "scale": (0.9, 0.1)}, "scale"),
    ],
)
def test_bad_training_arguments(options, word):
    with pytest.raises(InputError, match=word):
        train_transform(**options)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 1000), st.integers(1, 60), st.sampled_from(["random", "resized"]))
def test_any_image_size(width, height, crop):
    image = Image.new("RGB", (width, height))
    for transform in (eval_transform(32), train_transform(32, crop=crop)):
        assert transform(image).shape == (3, 32, 32)


@pytest.mark.parametrize("box", [None, "box", (1, 2, 3), [[1, 2], [3, 4]], torch.zeros(2, 5), 7])
def test_bad_boxes(box):
    with pytest.raises(InputError, match="box"):
        box_to_input(box, (50, 40), 96)
    with pytest.raises(InputError, match="box"):
        transform_with_box(eval_transform(96), Image.new("RGB", (50, 40)), box)


@pytest.mark.parametrize("size", [(0, 5), (5,), None, "ab", (5, -1), (float("nan"), 5)])
def test_bad_image_size(size):
    with pytest.raises(InputError, match="image_size"):
        box_to_image((0, 0, 5, 5), size, 96)


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 8, 8), torch.zeros(3), torch.zeros(3, 8, 8, dtype=torch.uint8), None]
)
def test_denormalise_refuses(images):
    with pytest.raises(InputError, match="images"):
        denormalise(images)


def test_batches_of_boxes():
    boxes = torch.rand(4, 5, 4) * 50
    assert box_to_input(boxes, (50, 40), 96).shape == (4, 5, 4)
    assert box_to_input(boxes.double().requires_grad_(), (50, 40), 96).dtype == torch.float32
