"""The GCN head: nodes that exchange what they know, gathered into a few super-nodes, then averaged.

MGFF paper, section 3.3. The text gives neither the adjacency nor the pooling in full. Reading: as
in FGVC-PIM (Chou et al., 2022), from which the head is taken: a learned adjacency plus an
input-dependent term.
"""

import torch
from torch import nn

from .attention import init_linear
from .patches import check_dtype, to_pair
from .support.errors import InputError, check_number
from .support.linear import Linear, matmul

ADJACENCIES = ("learned", "similarity", "grid")


class GraphConv(nn.Module):
    """One graph convolution, X' = activation(norm(A X W)): (B, N, C) -> (B, N, D).

    Row i of A says how much node i takes from each node j. Three readings of A:

    - ``"learned"``: A + alpha tanh(q_i - k_j), with q = X w_q and k = X w_k one number a node and
      alpha starting
      at 0: what is true of all images, plus what this image adds.
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
        for name, value in (("in_dim", in_dim), ("out_dim", out_dim), ("nodes", nodes)):
            check_number(name, value, 1, whole=True)
        if adjacency not in ADJACENCIES:
            raise InputError(
                f"adjacency must be one of {', '.join(ADJACENCIES)}, got {adjacency!r}."
            )
        if fixed is not None and tuple(fixed.shape) != (nodes, nodes):
            raise InputError(f"fixed must have shape ({nodes}, {nodes}), got {tuple(fixed.shape)}.")
        if residual and in_dim != out_dim:
            raise InputError(f"residual needs in_dim = out_dim, got {in_dim} and {out_dim}.")
        if adjacency == "grid" and fixed is None:
            raise InputError("adjacency 'grid' needs fixed=grid_adjacency(grid, granularities).")
        self.in_dim, self.nodes, self.kind, self.residual = in_dim, nodes, adjacency, residual
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
        self.weight = init_linear(Linear(in_dim, out_dim, bias=False))
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
        return self.adjacency + self.alpha * torch.tanh(
            q - k.transpose(1, 2)
        )  # (B, N, 1) - (B, 1, N)

    def forward(self, x):
        check_nodes(x, self.in_dim, self.nodes, self.weight.weight.dtype)
        adjacency = self.matrix(x).to(x.dtype)
        # A (X W) = (A X) W: the neighbours are gathered on the narrower side of W, which costs
        # less.
        if self.weight.out_features <= self.in_dim:
            out = matmul(adjacency, self.weight(x))
        else:
            out = self.weight(matmul(adjacency, x))
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
        for name, value in (("dim", dim), ("nodes", nodes), ("super_nodes", super_nodes)):
            check_number(name, value, 1, whole=True)
        if scores not in ("content", "position"):
            raise InputError(f"scores must be 'content' or 'position', got {scores!r}.")
        self.dim, self.nodes = dim, nodes
        if scores == "content":
            self.score, self.position_score = init_linear(nn.Linear(dim, super_nodes)), None
        else:
            self.score, self.position_score = (
                None,
                nn.Parameter(0.02 * torch.randn(nodes, super_nodes)),
            )

    def assignment(self, x):
        """S for nodes (B, N, C): (B, N, M), every row summing to 1."""
        scores = (
            self.score(x)
            if self.score is not None
            else self.position_score.expand(x.shape[0], -1, -1)
        )
        return scores.softmax(-1)

    def forward(self, x, return_assignment=False):
        """(B, N, C) -> (B, M, C), and with ``return_assignment`` also S."""
        check_nodes(
            x, self.dim, self.nodes, None if self.score is None else self.score.weight.dtype
        )
        assignment = self.assignment(x)
        shares = assignment / assignment.sum(1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        super_nodes = shares.transpose(1, 2).to(x.dtype) @ x
        return (super_nodes, assignment) if return_assignment else super_nodes


class GCNHead(nn.Module):
    """Graph convolution and super-nodes: nodes (B, N, C) -> dict of super-nodes (B, M, D) and their
    mean (B, D).

    Args:
        in_dim, out_dim: C and D. nodes: N.
        super_nodes: M; None takes N / 32 (18 for the 576 nodes of Swin-B at 384), on small graphs
            at least 8.
        graph: False leaves the graph convolution out (a plain linear layer stands in where C and D
            differ).
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
        for name, value in (("in_dim", in_dim), ("out_dim", out_dim), ("nodes", nodes)):
            check_number(name, value, 1, whole=True)
        if pool not in ("after", "before", "none"):
            raise InputError(f"pool must be 'after', 'before' or 'none', got {pool!r}.")
        if super_nodes is not None:
            check_number("super_nodes", super_nodes, 1, whole=True)
        count = nodes if pool == "none" else super_nodes or max(nodes // 32, min(8, nodes))
        self.in_dim, self.nodes, self.pool_place, self.super_nodes = in_dim, nodes, pool, count
        self.norm = nn.LayerNorm(in_dim) if norm_nodes else nn.Identity()
        if graph:
            on = count if pool == "before" else nodes
            self.graph = GraphConv(in_dim, out_dim, on, **graph_options)
        else:
            self.graph = (
                nn.Identity() if in_dim == out_dim else init_linear(Linear(in_dim, out_dim))
            )
        width = in_dim if pool == "before" else out_dim
        self.pool = None if pool == "none" else SuperNodePool(width, nodes, count, scores)

    def forward(self, nodes):
        """Dict with "super_nodes" (B, M, D), "assignment" (B, N, M) or None, and "embedding" (B,
        D).
        """
        weight = next(self.parameters(), None)
        check_nodes(nodes, self.in_dim, self.nodes, None if weight is None else weight.dtype)
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
    grid = to_pair(grid, "grid")
    check_number("granularities", granularities, 1, whole=True)
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    near = (places[:, None] - places[None]).abs().amax(-1) <= 1  # P, P: touching, itself included
    same_place, same_map = torch.eye(len(places)), torch.eye(granularities)
    linked = torch.kron(same_map, near.float()) + torch.kron(torch.ones_like(same_map), same_place)
    linked = (linked > 0).float()
    return linked / linked.sum(1, keepdim=True)


def check_nodes(x, dim, nodes, dtype=None):
    """Raise unless ``x`` is a floating-point tensor (B, nodes, dim) that can meet weights of
    ``dtype``.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"nodes must be a tensor (B, {nodes}, {dim}), got {type(x).__name__}.")
    if x.ndim != 3 or tuple(x.shape[1:]) != (nodes, dim):
        raise InputError(f"nodes must have shape (B, {nodes}, {dim}), got {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(f"nodes must hold floating-point numbers, got {x.dtype}.")
    check_dtype("nodes", x, dtype)
