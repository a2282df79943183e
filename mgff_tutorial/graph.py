"""The GCN head: nodes that exchange what they know, gathered into a few super-nodes, then averaged.

MGFF paper, section 3.3. The text gives neither the adjacency nor the pooling in full. Reading: as
in FGVC-PIM (Chou et al., 2022), from which the head is taken: a learned adjacency plus an
input-dependent term.
"""

import torch
from torch import nn

from .attention import init_linear


class GraphConv(nn.Module):
    """One graph convolution, X' = activation(norm(A X W)): (B, N, C) -> (B, N, D).

    Row i of A says how much node i takes from each node j. Three readings of A:

    - ``"learned"``: A + alpha tanh(q_i - k_j), with q = X w_q and k = X w_k one number per node and
      alpha starting at 0: what is true of all images, plus what this image adds.
    - ``"similarity"``: softmax over j of (X W_q)_i . (X W_k)_j / sqrt(d): from the image alone.
    - ``"grid"``: fixed neighbours, see `grid_adjacency`; pass ``fixed``.

    Args:
        in_dim, out_dim: C and D. nodes: N.
        adjacency: one of the three.
        fixed: (N, N) matrix for ``"grid"``, or the start of the learned one (default: half a node's
            own value, half the mean of all).
        norm: layer norm after A X W. activation: GELU after it. residual: add X (needs C = D).
    """

    def __init__(
        self,
        in_dim,
        out_dim,
        nodes,
        adjacency="learned",
        fixed=None,
        norm=True,
        activation=True,
        residual=False,
    ):
        super().__init__()
        self.kind, self.residual = adjacency, residual
        if adjacency == "learned":
            start = (torch.eye(nodes) + 1 / nodes) / 2 if fixed is None else fixed
            self.adjacency = nn.Parameter(start.clone())
            self.query = init_linear(nn.Linear(in_dim, 1, bias=False))
            self.key = init_linear(nn.Linear(in_dim, 1, bias=False))
            self.alpha = nn.Parameter(torch.zeros(()))
        elif adjacency == "similarity":
            self.query = init_linear(nn.Linear(in_dim, max(in_dim // 4, 1), bias=False))
            self.key = init_linear(nn.Linear(in_dim, max(in_dim // 4, 1), bias=False))
        else:
            self.register_buffer("adjacency", fixed.clone(), persistent=False)
        self.weight = init_linear(nn.Linear(in_dim, out_dim, bias=False))
        self.norm = nn.LayerNorm(out_dim) if norm else nn.Identity()
        self.activation = nn.GELU() if activation else nn.Identity()

    def matrix(self, x):
        """The adjacency that nodes ``x`` (B, N, C) get: (B, N, N), or (N, N) where it is the same
        for all images.
        """
        if self.kind == "grid":
            return self.adjacency
        q, k = self.query(x), self.key(x)
        if self.kind == "similarity":
            return (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1)
        difference = q - k.transpose(1, 2)  # (B, N, 1) - (B, 1, N) -> (B, N, N)
        return self.adjacency + self.alpha * torch.tanh(difference)

    def forward(self, x):
        adjacency = self.matrix(x).to(x.dtype)
        # A (X W) = (A X) W: neighbours are gathered on the narrower side of W, which costs less
        if self.weight.out_features <= self.weight.in_features:
            out = adjacency @ self.weight(x)
        else:
            out = self.weight(adjacency @ x)
        out = self.activation(self.norm(out))
        return x + out if self.residual else out


class SuperNodePool(nn.Module):
    """Gather N nodes into M super-nodes, each a true weighted mean of nodes: (B, N, C) -> (B, M,
    C).

    S = softmax over super-nodes of a learned score: node i belongs to super-node m with weight S[i,
    m], and the weights of a node sum to 1. Super-node m = sum_i S[i, m] x_i / sum_i S[i, m].

    Args:
        dim: C. nodes: N. super_nodes: M.
        scores: "content" (a linear layer on the node: the super-node follows the bird across the
            image) or "position" (one learned score for each pair of node and super-node, as in
            FGVC-PIM).
    """

    def __init__(self, dim, nodes, super_nodes, scores="content"):
        super().__init__()
        self.score = self.position_score = None
        if scores == "content":
            self.score = init_linear(nn.Linear(dim, super_nodes))
        else:
            self.position_score = nn.Parameter(0.02 * torch.randn(nodes, super_nodes))

    def assignment(self, x):
        """S for nodes (B, N, C): (B, N, M), every row summing to 1."""
        if self.score is not None:
            return self.score(x).softmax(-1)
        return self.position_score.softmax(-1).expand(x.shape[0], -1, -1)

    def forward(self, x, return_assignment=False):
        """(B, N, C) -> (B, M, C), and with ``return_assignment`` also S."""
        assignment = self.assignment(x)
        shares = per_column(assignment)
        super_nodes = shares.transpose(1, 2).to(x.dtype) @ x
        return (super_nodes, assignment) if return_assignment else super_nodes


def per_column(weights):
    """(B, N, M) weights, each column scaled to a sum of 1."""
    return weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


torch.fx.wrap("per_column")  # it depends on the dtype: one step for those who trace with fx


class GCNHead(nn.Module):
    """Graph convolution and super-nodes: nodes (B, N, C) -> dict of super-nodes (B, M, D) and their
    mean (B, D).

    Args:
        in_dim, out_dim: C and D. nodes: N.
        super_nodes: M; None takes N / 32 (18 for the 576 nodes of Swin-B at 384), on small graphs
            at least 8.
        graph: True for `GraphConv`; False leaves it out (a plain linear layer stands in where C and
            D differ); or a function ``graph(in_dim, out_dim, nodes)`` that builds another module,
            (B, N, C) -> (B, N, D).
        pool: "after" the graph convolution, "before" it (as FGVC-PIM does), or "none" (super-nodes
            are the nodes).
        norm_nodes: layer norm of the nodes first, so that all granularities speak equally loud.
        scores: see `SuperNodePool`. Others: see `GraphConv`.
    """

    def __init__(
        self,
        in_dim,
        out_dim,
        nodes,
        super_nodes=None,
        graph=True,
        pool="after",
        norm_nodes=False,
        scores="content",
        **graph_options,
    ):
        super().__init__()
        count = nodes if pool == "none" else super_nodes or max(nodes // 32, min(8, nodes))
        self.pool_place, self.super_nodes = pool, count
        self.norm = nn.LayerNorm(in_dim) if norm_nodes else nn.Identity()
        on = count if pool == "before" else nodes
        if graph is True:
            self.graph = GraphConv(in_dim, out_dim, on, **graph_options)
        elif graph:
            self.graph = graph(in_dim, out_dim, on)
        else:
            same = in_dim == out_dim
            self.graph = nn.Identity() if same else init_linear(nn.Linear(in_dim, out_dim))
        width = in_dim if pool == "before" else out_dim
        self.pool = None if pool == "none" else SuperNodePool(width, nodes, count, scores)

    def forward(self, nodes):
        """Dict with "super_nodes" (B, M, D), "assignment" (B, N, M) or None, and "embedding"
        (B, D).
        """
        x, assignment = self.norm(nodes), None
        if self.pool_place == "before":
            x, assignment = self.pool(x, return_assignment=True)
        x = self.graph(x)
        if self.pool_place == "after":
            x, assignment = self.pool(x, return_assignment=True)
        return {"super_nodes": x, "assignment": assignment, "embedding": x.mean(1)}


def grid_adjacency(grid, granularities=1):
    """Fixed neighbours: the eight around a position, the same position in the other granularities,
    and itself.

    Args:
        grid: (H, W). granularities: how many maps are stacked; node g * H * W + position.

    Returns:
        (N, N) with N = granularities * H * W; every row sums to 1, so W = I gives means of
        neighbours.
    """
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    near = (places[:, None] - places[None]).abs().amax(-1) <= 1  # P, P: touching, itself included
    same_place, same_map = torch.eye(len(places)), torch.eye(granularities)
    linked = torch.kron(same_map, near.float()) + torch.kron(torch.ones_like(same_map), same_place)
    linked = (linked > 0).float()
    return linked / linked.sum(1, keepdim=True)
