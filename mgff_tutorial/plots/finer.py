"""A trained MGFF with the weights stretched to twice its image size, so that figures have grids of
6 x 6 where the small model has 3 x 3.
"""

import torch

from ..windows import resize_bias_table


def stretch(trained, finer):
    """Fill a model of twice the image size with the weights of a trained one.

    Most weights do not depend on the size and are copied. A bias table is resized like a picture.
    Every node becomes four, so each of the four takes from another node's four a quarter of what
    node took from node; what a node keeps of itself stays whole.

    Args:
        trained, finer: two `MGFFClassifier` that differ in their image size, the second twice the
            first.

    Returns:
        ``finer``, in evaluation mode on the trained model's device.
    """
    state, own = trained.state_dict(), finer.state_dict()
    for key, wanted in own.items():
        if key.endswith("relative_position_bias_table") and state[key].shape != wanted.shape:
            old, new = ((round(len(t) ** 0.5) // 2 + 1,) * 2 for t in (state[key], wanted))
            state[key] = resize_bias_table(state[key], old, new)
    adjacency, alpha = (f"mgff.head.graph.{name}" for name in ("adjacency", "alpha"))
    state[adjacency] = stretch_adjacency(state[adjacency], trained.mgff.grid)
    state[alpha] = state[alpha] / 4
    finer.load_state_dict(state)
    return finer.eval().to(state[alpha].device)


def stretch_adjacency(matrix, grid):
    """(N, N) of nodes on a grid (H, W) -> (4 N, 4 N) of nodes on the grid (2 H, 2 W)."""
    itself = torch.eye(len(matrix), device=matrix.device) / 2  # as the learned one starts
    node = torch.arange(len(matrix), device=matrix.device).view(-1, *grid)
    node = node.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten()  # of each fine node
    return torch.eye(len(node), device=matrix.device) / 2 + (matrix - itself)[node][:, node] / 4
