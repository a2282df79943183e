"""Optimiser groups, schedule and loss are what the recipe says."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training_fakes import small_config, small_net

from mgff_tutorial.training.recipe import (
    Loss,
    Schedule,
    all_finite,
    build_optimizer,
    new_layers,
    parameter_groups,
)


class WithBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
        self.mgff, self.table = nn.Linear(4, 4), nn.Parameter(torch.zeros(3, 3))
        self.classifier = nn.Linear(4, 2)
        self.backbone[1].weight.requires_grad_(False)

    def no_weight_decay(self):
        return {"table"}


def test_groups_of_a_model_with_a_backbone():
    model = WithBackbone()
    groups = {group["name"]: group for group in parameter_groups(model, 0.1, 0.05, new_layer_lr=10)}
    assert {
        name: (len(g["params"]), round(g["lr"], 6), g["weight_decay"]) for name, g in groups.items()
    } == {
        "pretrained, decayed": (1, 0.1, 0.05),
        "pretrained": (2, 0.1, 0.0),
        "new, decayed": (2, 1.0, 0.05),
        "new": (3, 1.0, 0.0),
    }
    assert new_layers(small_net()) == {"head.weight", "head.bias"}
    assert new_layers(nn.Linear(2, 2)) == set()


def test_the_papers_optimiser_is_sgd_with_momentum(tmp_path):
    optimizer = build_optimizer(
        small_net(), small_config(tmp_path, optimizer="momentum", momentum=0.99, lr=2e-4)
    )
    group = optimizer.param_groups[0]
    assert (
        type(optimizer) is torch.optim.SGD
        and group["momentum"] == 0.99
        and not group["nesterov"]
        and group["lr"] == 2e-4
    )


def rates(total, warmup=0, kind="cosine"):
    optimizer = torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 10.0)], lr=1.0
    )
    schedule = Schedule(optimizer, total, warmup, kind)
    seen = []
    for step in range(total):
        schedule.set(step)
        seen.append([group["lr"] for group in optimizer.param_groups])
    return seen


def test_half_cosine():
    for step, (low, high) in enumerate(rates(50)):
        assert low == pytest.approx(
            0.5 * (1 + math.cos(math.pi * step / 50))
        ) and high == pytest.approx(10 * low)


def test_warm_up_rises_and_constant_stays():
    seen = [low for low, _ in rates(20, warmup=5)]
    assert (
        seen[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
        and seen[5] == pytest.approx(1.0)
        and seen[-1] < 0.02
    )
    assert [low for low, _ in rates(8, warmup=2, kind="constant")] == pytest.approx(
        [0.5] + [1.0] * 7
    )
    assert len(rates(1)) == 1


def test_loss_is_the_sum_of_cross_entropies(tmp_path):
    logits, labels = (
        torch.randn(4, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 2, 1, 1]),
    )
    images, loss = Loss(small_config(tmp_path, label_smoothing=0.1), 3)(
        torch.zeros(4, 3, 2, 2), labels
    )
    assert loss(logits) == pytest.approx(
        4 * F.cross_entropy(logits, labels, label_smoothing=0.1).item(), abs=1e-5
    )


def test_mixup_mixes_images_and_leaves_the_originals(tmp_path):
    images = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    mixed, loss = Loss(small_config(tmp_path, mixup=1.0), 3)(images, torch.tensor([0, 2, 1, 1]))
    assert torch.equal(images, before) and not torch.equal(mixed, images)
    assert loss(torch.zeros(4, 3)) == pytest.approx(4 * math.log(3), abs=1e-4)


def test_all_finite():
    assert all_finite([torch.ones(2), torch.tensor([1, 2])])
    assert not all_finite([torch.tensor([1.0, float("nan")])]) and not all_finite(
        [torch.tensor(float("inf"))]
    )
