"""Solutions of notebook 08."""

import torch


def adjacency(links):
    """Exercise 8.1. Self-loops first, so that no row is empty; then every row divided by its own
    sum.
    """
    linked = links + torch.eye(len(links))
    return linked / linked.sum(dim=1, keepdim=True)


def layers_until_all_heard(a):
    """Exercise 8.2. Follow who has heard of whom, layer by layer, until the picture is full.

    A path of n nodes needs n - 1 layers, a star 2, a full graph 1. After n - 1 layers nothing new
    can come. MGFF's learned adjacency is full: one layer is enough.
    """
    linked = (a > 0).float()
    heard = torch.eye(len(a))  # before the first layer: of oneself
    for layers in range(len(a)):
        if heard.all():
            return layers
        heard = (linked @ heard > 0).float()
    return -1


def hard_super_nodes(x, scores):
    """Exercise 8.3. One-hot rows instead of a softmax; the means are taken as before.

    argmax has no gradient, so nothing would tell the scores how to get better. With a softmax every
    score has a share in the result, and learns.
    """
    chosen = scores.argmax(dim=-1)  # (B, N), of equals the first
    assignment = torch.nn.functional.one_hot(chosen, scores.shape[-1]).to(x.dtype)  # (B, N, M)
    received = assignment.sum(dim=1).clamp(min=1)  # (B, M); 0 / 1 = 0 where nothing came
    return assignment.transpose(1, 2) @ x / received[:, :, None]  # (B, M, C)


def scale_adjacency(grid, granularities):
    """Exercise 8.4. Compare places instead of node numbers, and rows can't run into each other."""
    height, width = grid
    g, r, c = torch.meshgrid(
        torch.arange(granularities), torch.arange(height), torch.arange(width), indexing="ij"
    )
    places = torch.stack([g.flatten(), r.flatten(), c.flatten()], dim=1)  # (N, 3)
    steps = (places[:, None] - places[None]).abs().sum(-1)  # steps between maps, rows and columns
    linked = (steps <= 1).float()  # one step in one direction, or none
    return linked / linked.sum(dim=1, keepdim=True)
