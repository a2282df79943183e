"""Pretraining: views show what their part maps say, hidden parts do not count, and a run that was
cut short goes on.
"""

import json

import numpy as np
import pytest
import torch

from mgff_tutorial.renderer import PART_CLASSES, render
from mgff_tutorial.support.checkpoints import read_checkpoint
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.training import pretraining, pretraining_data
from mgff_tutorial.training.pretraining import PretrainConfig, pretrain
from mgff_tutorial.training.pretraining_data import (
    CODE_NAMES,
    CODES_PER_PART,
    head_boxes,
    picture_pool,
    random_views,
    visible_parts,
)


@pytest.fixture(scope="module")
def scene():
    return render(11, 3, size=192, scale=0.6)


def batch_of(scene, count):
    image = torch.from_numpy(np.array(scene.image)).permute(2, 0, 1)
    return (
        image.expand(count, -1, -1, -1),
        torch.from_numpy(scene.part_map).expand(count, -1, -1),
        torch.tensor([scene.box], dtype=torch.float32).expand(count, 4),
    )


def test_the_box_of_the_head_holds_beak_and_eye_and_little_else(scene):
    _, parts, _ = batch_of(scene, 2)
    box = head_boxes(parts, least=1)[0].tolist()
    mask = np.isin(
        scene.part_map,
        [
            i
            for i, name in enumerate(PART_CLASSES)
            if name.split(":")[0] in ("head", "beak", "crown", "eye")
        ],
    )
    rows, columns = np.nonzero(mask)
    assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    wide = head_boxes(parts, least=150)[0]
    assert (wide[2:] - wide[:2]).tolist() == [150, 150]


def test_views_and_part_maps_stay_together(scene):
    images, parts, boxes = batch_of(scene, 64)
    painted = (
        torch.where(parts[:, None] > 0, 255, 0).to(torch.uint8).expand(-1, 3, -1, -1)
    )  # the bird white on black
    views, maps = random_views(painted, parts, boxes, 96, torch.Generator().manual_seed(0))
    assert views.shape == (64, 3, 96, 96) and maps.shape == (64, 48, 48) and views.abs().max() <= 1
    light = torch.nn.functional.avg_pool2d(views, 2).mean(1) > 0
    assert (light == (maps > 0)).float().mean() > 0.97
    assert len({tuple(view.flatten()[:50].tolist()) for view in views}) > 1


def test_some_views_are_close_to_the_head(scene):
    images, parts, boxes = batch_of(scene, 200)
    _, maps = random_views(images, parts, boxes, 96, torch.Generator().manual_seed(1))
    beak = [i for i, name in enumerate(PART_CLASSES) if name.startswith("beak:")]
    pixels = torch.isin(maps, torch.tensor(beak)).flatten(1).sum(1).float()
    whole, bird, head = pixels.quantile(torch.tensor([0.2, 0.6, 0.95])).tolist()
    assert whole < 0.7 * bird and bird < 0.5 * head


def test_a_part_outside_the_view_is_not_visible(scene):
    maps = torch.from_numpy(scene.part_map)[None].repeat(2, 1, 1)
    maps[1][
        torch.isin(
            maps[1],
            torch.tensor([i for i, name in enumerate(PART_CLASSES) if name.startswith("tail")]),
        )
    ] = 0
    assert visible_parts(maps)[0].tolist() == [True] * 6
    assert visible_parts(maps)[1].tolist() == [True] * 5 + [False]
    assert sum(CODES_PER_PART) == len(CODE_NAMES) == 22


def test_a_run_that_was_cut_short_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "cache"))
    config = PretrainConfig(pool=24, images=48, batch_size=8, device="cpu", bf16=False)
    whole = pretrain(config, tmp_path / "whole")

    saved = []
    step_of_adam = torch.optim.AdamW.step

    def stopped(self, *args, **kwargs):
        saved.append(1)
        if len(saved) == 4:
            raise KeyboardInterrupt
        return step_of_adam(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", stopped)
    monkeypatch.setattr(pretraining, "SAVE_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "cut")
    again = pretrain(config, tmp_path / "cut")
    assert len(saved) == 4 + 3 and again == whole
    first, second = (
        read_checkpoint(tmp_path / name / "swin_nano.safetensors") for name in ("whole", "cut")
    )
    assert first[1] == second[1] and all(
        torch.equal(first[0][name], second[0][name]) for name in first[0]
    )
    last = json.loads((tmp_path / "cut" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 6 and 0 <= last["beak_accuracy"] <= 1


def test_the_pool_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path))
    pool = picture_pool(12, seed=1, workers=1)
    assert pool["images"].shape == (12, 192, 192, 3) and pool["codes"].shape == (12, 6)
    monkeypatch.setattr(pretraining_data, "_draw", None)
    assert (picture_pool(12, seed=1)["parts"] == pool["parts"]).all()


def test_only_the_nano_models_are_pretrained(tmp_path):
    with pytest.raises(InputError, match="swin_nano and vit_nano, not 'resnet50'"):
        pretrain(PretrainConfig(model="resnet50"), tmp_path)
