"""Sizes and tensors that a user hands over: one sentence for each that can't be used."""

import pytest
import torch

from mgff_tutorial import SwinTransformer
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.support.shapes import check_tensor, to_pair

IMAGES = ("B", 3, "H", "W")


@pytest.mark.parametrize(
    "wrong, words",
    [
        (torch.zeros(3, 8, 8), r"shape \(B, 3, H, W\), got \(3, 8, 8\)"),
        (torch.zeros(1, 4, 8, 8), r"shape \(B, 3, H, W\), got \(1, 4, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "floating-point"),
        (torch.zeros(1, 3, 0, 8), r"got \(1, 3, 0, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64), "float64"),
    ],
)
def test_images_of_a_wrong_kind_get_one_sentence(wrong, words):
    with pytest.raises(InputError, match=words) as caught:
        check_tensor("images", wrong, IMAGES, torch.float32)
    assert "\n" not in str(caught.value)


def test_an_empty_batch_and_any_floating_dtype_pass_where_nothing_is_said():
    check_tensor("images", torch.zeros(0, 3, 8, 8), IMAGES)
    check_tensor("images", torch.zeros(1, 3, 8, 8).double(), IMAGES)


def test_images_must_be_a_tensor():
    with pytest.raises(TypeError, match="images must be a tensor .* got list"):
        check_tensor("images", [1, 2], IMAGES)


def test_autocast_brings_dtypes_together_but_not_float64():
    x = torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        check_tensor("images", x, IMAGES, torch.float32)
        with pytest.raises(InputError, match="float64"):
            check_tensor("images", x.double(), IMAGES, torch.float32)
        with pytest.raises(InputError, match="keep the weights in float32"):
            check_tensor("images", x, IMAGES, torch.float16)


def test_checks_step_aside_while_a_model_is_traced():
    model = SwinTransformer(
        img_size=32, embed_dim=8, depths=(1, 1), num_heads=(1, 2), window_size=4, num_classes=3
    ).eval()
    x = torch.randn(2, 3, 32, 32)
    traced = torch.jit.trace(model, x)
    torch.testing.assert_close(traced(x), model(x), atol=1e-5, rtol=0)
    exported = torch.export.export(
        model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},)
    )
    y = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(exported.module()(y), model(y), atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrong", [0, -1, 2.0, (1, 2, 3), "7", True, (4, None)])
def test_sizes_are_positive_integers(wrong):
    with pytest.raises(InputError, match="window_size must be a positive integer"):
        to_pair(wrong, "window_size")
