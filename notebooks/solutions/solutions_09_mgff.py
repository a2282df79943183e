"""Solutions of notebook 09."""

from torch import nn


def count_nodes(grids, granularities):
    """Exercise 9.1. Every chosen map is aligned to the last grid; one super-node for 32 nodes, at
    least 8.
    """
    height, width = grids[-1]
    nodes = height * width * len(granularities)
    return nodes, max(nodes // 32, 8)


def share_heard(last_map, vector, gate):
    """Exercise 9.2. Length of what MGFF adds, against the length of what was there.

    0 at the start, since the gate is 0. A doubled gate does not double the share: with lengths 1
    and 1 it goes from 1/2 to 2/3. And a share says how loud the update is, not whether it is right.
    """
    pooled = last_map.mean(dim=(2, 3)).norm(dim=1)  # (B,)
    update = (gate * vector).norm(dim=1)  # (B,)
    return update / (pooled + update)


def ablation(name):
    """Exercise 9.3. One option for each part."""
    return {
        "no self-attention": {"self_attention": False},
        "no channel attention": {"channel_attention": False},
        "no graph": {"graph": False},
        "no super-nodes": {"pool": "none"},
        "last map alone": {"granularities": (3,)},
        "without the finest map": {"granularities": (1, 2, 3)},
    }[name]


class Pyramid(nn.Module):
    """Four stages; each halves the grid with a strided convolution."""

    def __init__(self, channels):
        super().__init__()
        widths = [3, *channels]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(widths[:-1], widths[1:])
        )

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def own_backbone():
    """Exercise 9.4. For images of 64 x 64: grids 32, 16, 8 and 4."""
    channels = (8, 16, 32, 64)
    return Pyramid(channels), channels, ((32, 32), (16, 16), (8, 8), (4, 4))
