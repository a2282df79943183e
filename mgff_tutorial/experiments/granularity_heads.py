"""What the field does with fine maps: a small nonlinear block for each granularity, and a
classifier of its own, so that something in each map tells the classes apart before it is pooled.

Du et al., Fine-grained visual classification via progressive multi-granularity training of jigsaw
patches (ECCV 2020); Chou et al., A novel plug-in module for fine-grained visual classification
(2022); HERBS (2023). None of it is in the MGFF paper.
"""

import torch
from torch import nn

from ..attention import init_linear
from .frozen_heads import FrozenHead

OWN = 0.5  # weight of a granularity's own classifier in the loss


def block(channels, width):
    """Two convolutions that keep the grid: (B, channels, H, W) -> (B, width, H, W)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


class GranularityHead(FrozenHead):
    """A head on stored maps, as `FrozenHead`, with a nonlinear block on each of the first three.

    Args:
        channels, grids: of the four maps.
        num_classes: K.
        preset: ``"baseline"`` (the plain linear head beside what is added) or ``"default"`` (MGFF
            on the blocks' maps).
        supervised: give each block a classifier of its own on the maximum over positions; without
            MGFF, also a joint one on the three vectors. The answer is the mean of all softmax
            vectors.
        width: channels of the blocks.
        **options: of `MGFF`.
    """

    def __init__(self, channels, grids, num_classes, preset, supervised=True, width=96, **options):
        mapped = [width] * 3 + [channels[-1]]
        super().__init__(mapped, grids, num_classes, preset, **options)
        self.sees_maps, own = True, 3 if supervised else 0
        self.blocks = nn.ModuleList(block(c, width) for c in channels[:3])
        self.own = nn.ModuleList(init_linear(nn.Linear(width, num_classes)) for _ in range(own))
        joint = supervised and self.mgff is None
        self.joint = init_linear(nn.Linear(3 * width, num_classes)) if joint else None

    def answers(self, maps, pooled):
        """Pairs of a weight in the loss and logits (B, K): of the plain or fused head, the joint
        one, and each granularity's own.
        """
        made = [module(m) for module, m in zip(self.blocks, maps)]
        vectors = [m.amax((2, 3)) for m in made]
        found = [(1.0, super().forward([*made, maps[3]], pooled))]
        if self.joint is not None:
            found.append((1.0, self.joint(torch.cat(vectors, 1))))
        return found + [(OWN, own(v)) for own, v in zip(self.own, vectors)]

    def forward(self, maps, pooled):
        """Logarithm of the mean of all answers' class probabilities, (B, K)."""
        found = [logits.float().softmax(1) for _, logits in self.answers(maps, pooled)]
        return torch.stack(found).mean(0).clamp_min(1e-12).log()
