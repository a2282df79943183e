"""Threshold, component, box, padding, crop: each step by hand, and the degenerate maps."""

import numpy as np
import pytest
import real_weights
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from mgff_tutorial import CUB200, SketchBirds
from mgff_tutorial.cropper import (
    ViTCropper,
    box_of,
    crop_and_resize,
    crop_batch,
    largest_component,
    otsu,
    pad_boxes,
)
from mgff_tutorial.response import Rule
from mgff_tutorial.support.errors import InputError


def vit(size=48, **kwargs):
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=size, depth=2, num_classes=0, **kwargs
    )


def fixed(weights, tau=1.0):
    """A rule that ignores the images; ``weights`` is (rows, columns) or (B, rows, columns)."""
    flat = torch.as_tensor(weights, dtype=torch.float32)
    flat = flat.flatten()[None] if flat.dim() == 2 else flat.flatten(1)
    return Rule(lambda record: flat.expand(len(record.tokens), -1), 1, tau)


def test_otsu_separates_two_groups():
    values = torch.tensor([[0.0, 0.1, 0.2, 5.0, 5.1], [9.0, 1.0, 1.1, 0.9, 1.0]])
    torch.testing.assert_close(otsu(values), torch.tensor([[2.6], [5.05]]))


def test_otsu_is_the_best_of_all_cuts():
    values = torch.rand(4, 60, generator=torch.Generator().manual_seed(0)) ** 3
    for row, limit in zip(values, otsu(values)):

        def between(t):
            low, high = row[row <= t], row[row > t]
            return len(low) * len(high) * (low.mean() - high.mean()) ** 2

        assert between(limit) >= max(between(t) for t in row.sort().values[:-1]) - 1e-6


def test_largest_component_is_eight_connected_and_largest():
    mask = np.array(
        [[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], dtype=bool
    )[None]
    kept = largest_component(mask)[0]
    assert kept.sum() == 4 and not kept[0, 4]
    assert not largest_component(np.zeros((1, 3, 3), bool)).any()


def test_box_is_exclusive_on_the_right_and_padding_is_clipped():
    mask = np.zeros((1, 10, 20), bool)
    mask[0, 2:5, 7:17] = True
    boxes = box_of(mask)
    assert boxes.tolist() == [[7, 2, 17, 5]]
    padded = pad_boxes(torch.from_numpy(boxes), 0.5, 10, 20)
    assert padded.tolist() == [[2, 0.5, 20, 6.5]]


def test_crop_shows_the_pixels_of_the_box():
    image = torch.arange(3 * 8 * 10.0).view(3, 8, 10)
    torch.testing.assert_close(crop_and_resize(image, (2, 1, 6, 5), (4, 4)), image[:, 1:5, 2:6])
    flat = crop_and_resize(
        torch.cat([torch.zeros(3, 8, 5), torch.ones(3, 8, 5)], dim=2), (5, 0, 10, 8), (32, 32)
    )
    torch.testing.assert_close(flat, torch.ones(3, 32, 32))
    with pytest.raises(InputError, match="box"):
        crop_and_resize(image, (4, 4, 4, 6), (4, 4))
    with pytest.raises(InputError, match="holds no pixel"):
        crop_batch(image[None], torch.full((1, 4), float("nan")), 8)


def test_box_surrounds_the_hot_patches():
    hot = torch.zeros(3, 3)
    hot[0, 1:] = 1
    found = ViTCropper(vit(), rule=fixed(hot), padding=0)(torch.zeros(2, 3, 48, 48))
    x0, y0, x1, y1 = found.boxes[0].tolist()
    assert 8 <= x0 <= 16 and y0 == 0 and x1 == 48 and 16 <= y1 <= 24
    assert found.mask[0, 0, 0, 47] and not found.mask[0, 0, 47, 0] and not found.fallback.any()
    padded = ViTCropper(vit(), rule=fixed(hot), padding=0.1)(torch.zeros(1, 3, 48, 48)).boxes[0]
    assert padded[0] == pytest.approx(x0 - 0.1 * (48 - x0)) and padded[3] == pytest.approx(
        y1 + 0.1 * y1
    )


def test_boxes_are_in_pixels_of_the_images_given():
    hot = torch.zeros(3, 3)
    hot[1, 1] = 1
    cropper = ViTCropper(vit(), rule=fixed(hot), padding=0)
    small, large = (
        cropper.boxes(torch.zeros(1, 3, 48, 48))[0],
        cropper.boxes(torch.zeros(1, 3, 480, 960))[0],
    )
    torch.testing.assert_close(
        large / torch.tensor([960, 480, 960, 480]), small / 48, atol=0.02, rtol=0
    )
    assert cropper.response_map(torch.zeros(1, 3, 100, 70)).shape == (1, 1, 100, 70)
    assert cropper.crop(torch.zeros(2, 3, 100, 70), 24).shape == (2, 3, 24, 24)
    assert cropper.crop(torch.zeros(2, 3, 100, 70)).shape == (2, 3, 100, 70)


def test_boxes_of_images_of_different_sizes_are_in_pixels_of_each():
    cropper = ViTCropper(
        vit(), rule=fixed([[0, 0, 0], [0, 0, 9], [0, 0, 0]]), padding=0, input_size=48
    )
    found = cropper.find([torch.rand(3, 48, 48), torch.rand(3, 96, 480)])
    first, second = found.boxes
    torch.testing.assert_close(second, first * torch.tensor([10.0, 2.0, 10.0, 2.0]))
    assert first[0] > 24 and second[2] <= 480 and found.response.shape == (2, 1, 48, 48)


def test_degenerate_maps_fall_back_to_the_whole_image_and_say_so():
    nan, peak = torch.ones(3, 3), torch.zeros(3, 3)
    nan[1, 1], peak[1, 1] = float("nan"), 1.0
    maps = torch.stack([torch.ones(3, 3), torch.zeros(3, 3), nan, peak, peak * float("inf")])
    for tau in (1.0, "otsu"):
        found = ViTCropper(vit(), rule=fixed(maps), tau=tau)(torch.zeros(5, 3, 60, 80))
        assert found.fallback.tolist() == [True, True, True, False, True]
        assert (
            found.boxes[0].tolist() == [0, 0, 80, 60]
            and found.mask[2].all()
            and not found.mask[3].all()
        )
    nothing_above = ViTCropper(vit(), rule=fixed(peak), tau=1000.0)(torch.zeros(1, 3, 48, 48))
    assert nothing_above.fallback.all()
    broken = ViTCropper(vit())(torch.full((1, 3, 48, 48), float("nan")))
    assert broken.fallback.all() and broken.boxes.tolist() == [[0, 0, 48, 48]]


def empty_pictures():
    """Black, white, grey, a sky, and noise of three grains; each (3, 128, 160) in 0 to 1."""
    generator = torch.Generator().manual_seed(9)
    low, high = torch.tensor([0.75, 0.85, 0.95]), torch.tensor([0.25, 0.45, 0.8])
    slope = torch.linspace(0, 1, 128)[None, :, None].expand(3, 128, 160)
    sky = high[:, None, None] + (low - high)[:, None, None] * slope
    grains = [torch.rand(1, 3, side, side, generator=generator) for side in (8, 32, 128)]
    noise = [
        torch.nn.functional.interpolate(g, size=(128, 160), mode="bilinear")[0] for g in grains
    ]
    return [*(torch.full((3, 128, 160), v) for v in (0.0, 0.5, 1.0)), sky, *noise]


def test_a_picture_with_nothing_on_it_gives_the_whole_image():
    cropper = ViTCropper("vit_nano")
    found = cropper.find(empty_pictures())
    assert found.fallback.all() and (found.sureness < 0.1).all() and found.mask.all()
    assert found.boxes.tolist() == [[0, 0, 160, 128]] * 7
    without = ViTCropper(cropper.vit, presence=False).find(empty_pictures())
    assert without.sureness is None and not without.fallback[3:].any()  # a box in every sky


def test_birds_are_given_up_at_most_once_in_fifty():
    birds = SketchBirds("test")
    images = [tv.to_dtype(tv.to_image(birds.image(i)), scale=True) for i in range(0, 600, 6)]
    found = ViTCropper("vit_nano").find([image.as_subclass(torch.Tensor) for image in images])
    assert found.fallback.sum() <= 2 and found.sureness.median() > 0.8


def test_how_sure_another_vit_is_is_not_known():
    assert ViTCropper(vit())(torch.randn(1, 3, 48, 48)).sureness is None


def test_the_photographed_birds_are_there_and_an_empty_photograph_is_not():
    cropper = ViTCropper(real_weights.dinov2_vit_small(224))
    birds = CUB200(real_weights.cub20(), split="test")
    images = [tv.to_dtype(tv.to_image(birds.image(i)), scale=True) for i in range(0, 500, 20)]
    found = cropper.find([image.as_subclass(torch.Tensor) for image in images])
    assert found.fallback.sum() <= 1
    assert cropper.find(empty_pictures()).fallback.all()


def test_the_vit_is_frozen_in_eval_mode_and_sees_no_gradient():
    cropper = ViTCropper(vit(attn_drop_rate=0.5, drop_path_rate=0.5).train()).train()
    x = torch.randn(2, 3, 48, 48, requires_grad=True)
    assert not cropper.vit.training and not any(p.requires_grad for p in cropper.parameters())
    assert not cropper.response_map(x).requires_grad
    torch.testing.assert_close(cropper.response_map(x), cropper.response_map(x))


def test_one_image_or_many_gives_the_same_boxes():
    cropper, x = (
        ViTCropper(vit()),
        torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(3)),
    )
    together = cropper(x)
    for i in range(4):
        alone = cropper(x[i : i + 1])
        torch.testing.assert_close(alone.boxes[0], together.boxes[i])
        torch.testing.assert_close(alone.response[0], together.response[i], atol=1e-6, rtol=1e-5)


def test_a_flip_of_the_map_flips_the_box():
    weights = torch.rand(3, 3, generator=torch.Generator().manual_seed(5))
    there = ViTCropper(vit(), rule=fixed(weights))(torch.zeros(1, 3, 48, 48)).boxes[0]
    back = ViTCropper(vit(), rule=fixed(weights.flip(1)))(torch.zeros(1, 3, 48, 48)).boxes[0]
    torch.testing.assert_close(
        back[[2, 1, 0, 3]], torch.stack([48 - there[0], there[1], 48 - there[2], there[3]])
    )


@pytest.mark.parametrize(
    "options, name",
    [
        ({"tau": "mean"}, "tau"),
        ({"tau": -1}, "tau"),
        ({"padding": 2}, "padding"),
        ({"padding": "5%"}, "padding"),
        ({"rule": "nothing"}, "rule"),
    ],
)
def test_bad_options(options, name):
    with pytest.raises(InputError, match=name):
        ViTCropper(vit(), **options)


def test_bad_images():
    cropper = ViTCropper(vit())
    for bad in (torch.zeros(3, 48, 48), torch.zeros(1, 1, 48, 48), torch.zeros(1, 3, 0, 48)):
        with pytest.raises(InputError, match="x: "):
            cropper(bad)
    for bad in (torch.zeros(1, 3, 48, 48, dtype=torch.uint8), np.zeros((1, 3, 48, 48)), None):
        with pytest.raises((InputError, TypeError), match="x: "):
            cropper(bad)
    with pytest.raises(InputError, match="vit"):
        ViTCropper(timm.create_model("resnet18"))
    empty = cropper(torch.zeros(0, 3, 48, 48))
    assert (
        empty.boxes.shape == (0, 4)
        and empty.response.shape == (0, 1, 48, 48)
        and empty.mask.shape == (0, 1, 48, 48)
    )


@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 120),
    batch=st.integers(0, 2),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_any_size_and_float_type(height, width, batch, dtype):
    x = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = ViTCropper(vit())(x)
    assert found.boxes.shape == (batch, 4) and found.response.dtype == torch.float32
    for x0, y0, x1, y1 in found.boxes.tolist():
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
