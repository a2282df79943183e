"""Two stages: mixed inputs, boxes in original pixels, and the limits in which stage 2 must equal
stage 1.
"""

import io

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.response import Rule
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.two_stage import TwoStageClassifier


class Tiny(nn.Module):
    """A classifier with every pitfall: dropout, batch norm, its own normalisation."""

    pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(72, 5),
        )

    def forward(self, x):
        assert tuple(x.shape[-2:]) == (32, 32)
        return self.body(x)


def vit(size=(48, 48)):
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=size, depth=2, num_classes=0)


def fixed(weights):
    """A rule that ignores the image and returns these (rows, columns) weights."""
    flat = torch.tensor(weights, dtype=torch.float32).flatten()
    return Rule(lambda record: flat.expand(len(record.tokens), -1), 1, 1.0)


def system(weights=((0, 0, 0), (0, 1, 0), (0, 0, 0)), padding=0.0, **options):
    torch.manual_seed(1)
    return TwoStageClassifier(
        Tiny(), ViTCropper(vit(), rule=fixed(weights), padding=padding), **options
    )


def picture(width, height, seed=0):
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 255, (6, 6, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(small.numpy()).resize((width, height), Image.BICUBIC)


def as_tensor(image, model):
    mean, std = (torch.tensor(model.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        .view(*image.size[::-1], 3)
        .permute(2, 0, 1)
        / 255
        - mean
    ) / std


def test_pil_and_tensors_of_different_sizes_give_the_same():
    model = system()
    pictures = [picture(50, 80), picture(32, 32, 1), picture(200, 33, 2)]
    mixed = [pictures[0], as_tensor(pictures[1], Tiny), pictures[2]]
    a, b = model.predict(pictures), model.predict(mixed)
    assert len(a) == 3 and a.merged.shape == (3, 5) and a.response.shape == (3, 1, 48, 48)
    for name in ("stage1", "stage2", "merged", "boxes"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), atol=1e-6, rtol=0)
    torch.testing.assert_close(a.merged.sum(dim=1), torch.ones(3))


def test_boxes_are_in_pixels_of_the_original():
    result = system().predict([picture(300, 60), picture(48, 480)])
    # the middle patch of 3 x 3, a little more or less where the enlarged map passes its mean
    centre = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2
    torch.testing.assert_close(centre, torch.tensor([[150.0, 30], [24, 240]]))
    sides = (result.boxes[:, 2:] - result.boxes[:, :2]) / torch.tensor([[300.0, 60], [48, 480]])
    assert ((sides > 0.3) & (sides < 0.7)).all()


def test_a_crop_of_the_whole_image_gives_stage_1_exactly():
    for options in ({}, {"resize": 40}):
        model = system(weights=((1, 1, 1), (1, 1, 1), (1, 1, 1)), **options)
        result = model.predict([picture(50, 80), picture(70, 41, 3)])
        assert result.fallback.all()
        assert torch.equal(result.boxes, torch.tensor([[0.0, 0, 50, 80], [0, 0, 70, 41]]))
        assert torch.equal(result.stage1, result.stage2)
        torch.testing.assert_close(result.merged, result.stage1)


def test_stage_2_is_the_classifier_on_the_crop_of_the_original():
    model = system()
    image = picture(256, 256, 5)
    result = model.predict(image)
    x0, y0, x1, y1 = result.boxes[0].tolist()
    outward = (int(x0), int(y0), -int(-x1 // 1), -int(-y1 // 1))
    crop = model.predict(image.crop(outward))
    torch.testing.assert_close(result.stage2, crop.stage1, atol=1e-5, rtol=0)
    assert (result.stage2 - result.stage1).abs().max() > 1e-4


@pytest.mark.parametrize("merge", ["probabilities", "logits"])
def test_weight_moves_from_stage_1_to_stage_2(merge):
    pictures = [picture(64, 64), picture(90, 60, 1)]
    first, second, half = (system(merge=merge, weight=w).predict(pictures) for w in (0, 1, 0.5))
    torch.testing.assert_close(first.merged, first.stage1)
    torch.testing.assert_close(second.merged, second.stage2)
    mean = (
        (half.stage1 + half.stage2) / 2
        if merge == "probabilities"
        else ((half.stage1.log() + half.stage2.log()) / 2).softmax(dim=1)
    )
    torch.testing.assert_close(half.merged, mean)


def test_result_does_not_depend_on_batch_size_or_order_and_models_keep_their_mode():
    model = system()
    model.classifier.train()
    model.classifier.body[1].eval()
    pictures = [picture(40 + 7 * i, 60 - 3 * i, i) for i in range(5)]
    all_at_once, one_by_one = model.predict(pictures), model.predict(pictures, batch_size=1)
    backwards = model.predict(pictures[::-1])
    torch.testing.assert_close(all_at_once.merged, one_by_one.merged, atol=1e-6, rtol=0)
    torch.testing.assert_close(all_at_once.merged, backwards.merged.flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(all_at_once.boxes, one_by_one.boxes)
    assert (
        model.classifier.training
        and not model.classifier.body[1].training
        and not model.cropper.vit.training
    )
    assert not all_at_once.merged.requires_grad


def test_stage_1_with_resize_is_the_evaluation_transform():
    transforms = pytest.importorskip("mgff_tutorial.datasets.transforms")
    model = system(resize=43).eval()
    image = picture(120, 90, 2)
    cfg = Tiny.pretrained_cfg
    view = transforms.eval_transform(32, resize=43, mean=cfg["mean"], std=cfg["std"])(image)
    expected = model.classifier(view[None]).softmax(dim=1)
    torch.testing.assert_close(model.predict(image).stage1, expected, atol=1e-6, rtol=0)


def test_exif_orientation_is_honoured_once():
    upright = picture(60, 30, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees to see it upright
    stored, buffer = upright.transpose(Image.Transpose.ROTATE_90), io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    turned = Image.open(buffer)
    assert turned.size == (30, 60)
    model = system(weights=((1, 0, 0), (0, 0, 0), (0, 0, 0)))
    a, b = model.predict(upright), model.predict(turned)
    torch.testing.assert_close(a.merged, b.merged)
    torch.testing.assert_close(a.boxes, b.boxes)
    rgb = picture(60, 30, 4).convert("RGBA")
    torch.testing.assert_close(model.predict(rgb).merged, a.merged)


@pytest.mark.parametrize(
    "bad, error",
    [
        ("bird.jpg", TypeError),
        (["bird.jpg"], TypeError),
        ([], InputError),
        (torch.zeros(0, 3, 32, 32), InputError),
        (torch.zeros(1, 1, 32, 32), InputError),
        (torch.zeros(32, 32), InputError),
        (None, TypeError),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), InputError),
        (torch.zeros(1, 3, 0, 4), InputError),
        (7, TypeError),
    ],
)
def test_bad_images(bad, error):
    with pytest.raises(error, match="images"):
        system().predict(bad)


@pytest.mark.parametrize(
    "options", [{"weight": 1.5}, {"weight": "half"}, {"merge": "votes"}, {"resize": 8}]
)
def test_bad_options(options):
    with pytest.raises(InputError, match=next(iter(options))):
        system(**options)


def test_bad_parts():
    with pytest.raises(TypeError, match="cropper"):
        TwoStageClassifier(Tiny(), vit())
    with pytest.raises(InputError, match="input_size"):
        TwoStageClassifier(nn.Linear(3, 4), ViTCropper(vit()))


@settings(deadline=None, max_examples=12)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_any_size(width, height):
    result = system(padding=0.05).predict(Image.new("RGB", (width, height), "red"))
    x0, y0, x1, y1 = result.boxes[0].tolist()
    assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    assert result.merged.isfinite().all()
