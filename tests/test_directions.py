"""A direction among a ViT's tokens, learned from boxes: by hand, on planted objects, and refused
for ViTs that it was not fitted to.
"""

import pytest
import timm
import torch

from mgff_tutorial import ViTCropper
from mgff_tutorial.evaluation.boxes import describe
from mgff_tutorial.experiments.directions import (
    dice,
    fit_direction,
    learn_direction,
    shadows,
)
from mgff_tutorial.experiments.localisation import find_objects
from mgff_tutorial.response import FITTED_RULES, RULES, ViTRecord, get_rule, response_map
from mgff_tutorial.support.birds import BIRD
from mgff_tutorial.support.directions import Direction, unpacked
from mgff_tutorial.support.errors import InputError


def record_of(tokens, grid, prefix=1):
    before = torch.zeros(len(tokens), prefix, tokens.shape[-1])
    return ViTRecord([], torch.cat([before, tokens], dim=1), prefix, grid, True)


def test_a_box_crosses_the_patches_whose_middles_it_holds():
    rows, columns = shadows(torch.tensor([[0.0, 0.2, 0.5, 1.0]]), (4, 2))
    assert rows.tolist() == [[0, 1, 1, 1]] and columns.tolist() == [[1, 0]]


def test_dice_by_hand():
    p, q = torch.tensor([[1.0, 1, 0], [1, 0, 0]]), torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    torch.testing.assert_close(dice(p, q), torch.tensor([1 - 2 / 3, 1.0]))


def test_objects_that_fill_half_of_their_boxes_are_told_from_the_corners():
    """Diamonds of tokens that have one direction in common, in boxes of which they leave the
    corners free; what surrounds them has nothing in common.
    """
    torch.manual_seed(0)
    side, images, width = 9, 40, 16
    tokens, boxes = torch.randn(images, side * side, width), []
    truth = torch.zeros(images, side, side, dtype=torch.bool)
    places = torch.arange(side)
    for i in range(images):
        y, x = torch.randint(2, side - 2, (2,)).tolist()
        truth[i] = (places[:, None] - y).abs() + (places - x).abs() <= 2
        boxes.append([(x - 2) / side, (y - 2) / side, (x + 3) / side, (y + 3) / side])
    truth = truth.flatten(1)
    tokens[truth] += 6 * torch.eye(width)[3]
    found = fit_direction(tokens[:30], torch.tensor(boxes[:30]), (side, side))
    assert found.slopes.argmax() == 3
    likeness = found.likeness(record_of(tokens[30:], (side, side)))
    assert ((likeness > 0.5) == truth[30:]).float().mean() > 0.98
    again = fit_direction(tokens[:30], torch.tensor(boxes[:30]), (side, side))
    assert torch.equal(again.slopes, found.slopes) and again.offset == found.offset


def test_one_byte_for_each_slope_is_enough():
    torch.manual_seed(0)
    direction = Direction(torch.randn(384), 0.25, "some_vit")
    text, top, offset = direction.packed()
    again = unpacked(text, top, offset, "some_vit")
    assert len(text) == 512 and again.offset == 0.25 and again.made_for == "some_vit"
    assert (again.slopes - direction.slopes).abs().max() <= top / 127 / 2 * 1.001


def test_the_rule_is_the_default_one_times_the_likeness():
    vit = timm.create_model("vit_small_patch14_dinov2", img_size=56, depth=4).eval()
    x = torch.rand(2, 3, 56, 56)
    plain, rule = RULES["attended_object_edges"], FITTED_RULES["attended_bird"]
    assert rule.edges and rule.tau == 0.8 and rule.last == plain.last
    cropper = ViTCropper(vit, "attended_bird", input_size=56)
    seen, record = cropper._seen(x)
    expected = plain.weigh(record) * BIRD.likeness(record)
    torch.testing.assert_close(seen.flatten(1), expected)
    torch.testing.assert_close(response_map(vit, x, "attended_bird"), cropper.response_map(x))
    assert "attended_bird" in describe(cropper)  # so that its boxes are stored


def test_another_vit_is_refused():
    small = timm.create_model("vit_small_patch16_224", img_size=64, depth=4)  # 384 numbers too
    for ask in (
        lambda: ViTCropper(small, "attended_bird"),
        lambda: get_rule("attended_bird", small),
        lambda: response_map(small, torch.rand(1, 3, 64, 64), "attended_bird"),
        lambda: find_objects(ViTCropper(small), [], torch.zeros(0, 4), rules=["attended_bird"]),
    ):
        with pytest.raises(InputError, match="fitted to the tokens of vit_small_patch14_dinov2"):
            ask()
    with pytest.raises(InputError, match="tokens of 384 numbers .*, got 8"):
        BIRD.likeness(record_of(torch.rand(1, 4, 8), (2, 2)))


def test_on_real_photographs_it_is_learned_again_and_finds_birds():
    import real_weights

    from mgff_tutorial.datasets import CUB200
    from mgff_tutorial.experiments.localisation import find_in_dataset, summarise

    vit = real_weights.dinov2_vit_small(224)
    cropper = ViTCropper(vit, padding=0.0)
    birds = CUB200(real_weights.cub20(), split="train")
    few = learn_direction(cropper, birds.subset(list(range(0, 600, 25))), steps=100)
    assert torch.cosine_similarity(few.slopes, BIRD.slopes, dim=0) > 0.3
    rules = ("attended_object", "attended_object_edges", "attended_bird")
    test = CUB200(real_weights.cub20(), split="test")
    scores = {s.rule: s.mean_iou for s in summarise(find_in_dataset(cropper, test, rules, 24))}
    assert scores["attended_bird"] > scores["attended_object"] + 0.02
