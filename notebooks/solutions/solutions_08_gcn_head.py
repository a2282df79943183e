"""Solutions of notebook 08."""

import torch


def adjacency(links):
    """Exercise 8.1. Self-loops first, so that no row is empty; then every row divided by its own
    sum.
    """
    linked = links + torch.eye(len(links))
    return linked / linked.sum(dim=1, keepdim=True)


def graph_conv(x, a, weight):
    """Exercise 8.2. A mixes nodes, W mixes channels; in which order one multiplies doesn't
    matter.
    """
    return a @ x @ weight


def super_nodes(x, scores):
    """Exercise 8.3. Every node divides itself among super-nodes; every super-node is a mean of what
    it received.
    """
    assignment = scores.softmax(dim=-1)  # (B, N, M), rows sum to 1
    shares = assignment / assignment.sum(dim=1, keepdim=True)  # columns sum to 1
    return shares.transpose(1, 2) @ x  # (B, M, C)


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
