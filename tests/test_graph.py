"""The graph head: means of neighbours, equivariance to the order of nodes, super-nodes that are
true means.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mgff_tutorial.graph import GCNHead, GraphConv, SuperNodePool, grid_adjacency


def plain(nodes, dim, adjacency):
    """A graph convolution with W = I and nothing after it."""
    conv = GraphConv(dim, dim, nodes, fixed=adjacency, norm=False, activation=False)
    with torch.no_grad():
        conv.weight.weight.copy_(torch.eye(dim))
    return conv


def busy(module):
    torch.manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.normal_(std=0.5)
    return module


def test_identity_weights_give_means_of_neighbours():
    path = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]).float()
    conv = plain(4, 2, path / path.sum(1, keepdim=True))
    x = torch.tensor([[[0.0, 1], [6, 1], [0, 1], [0, 4]]])
    expected = torch.tensor([[[3.0, 1], [2, 1], [2, 2], [0, 2.5]]])
    torch.testing.assert_close(conv(x), expected)


def test_grid_adjacency_by_hand():
    adjacency = grid_adjacency((3, 3))
    assert torch.allclose(adjacency.sum(1), torch.ones(9))
    assert torch.equal(adjacency[4], torch.full((9,), 1 / 9))  # the centre touches all
    assert torch.equal(adjacency[0] > 0, torch.tensor([1, 1, 0, 1, 1, 0, 0, 0, 0]).bool())
    two = grid_adjacency((2, 5), granularities=2)
    assert two.shape == (20, 20) and two[0, 10] > 0 and two[0, 11] == 0  # same place, other map
    assert torch.equal(two > 0, (two > 0).T)


@pytest.mark.parametrize("kind", ["learned", "similarity"])
def test_permutation_equivariance(kind):
    conv = busy(GraphConv(6, 5, 8, adjacency=kind))
    x, order = torch.randn(2, 8, 6), torch.tensor([3, 0, 7, 1, 2, 6, 4, 5])
    expected = conv(x)[:, order]
    if kind == "learned":
        assert not torch.allclose(
            conv(x[:, order]), expected, atol=1e-4
        )  # A knows its nodes by number
        with torch.no_grad():
            conv.adjacency.copy_(conv.adjacency[order][:, order])
    torch.testing.assert_close(conv(x[:, order]), expected, atol=1e-5, rtol=1e-4)


def test_learned_adjacency_is_the_papers_sum():
    conv = busy(GraphConv(6, 6, 4)).double()
    x = torch.randn(2, 4, 6, dtype=torch.double)
    q, k = x @ conv.query.weight[0], x @ conv.key.weight[0]
    expected = torch.zeros(2, 4, 4, dtype=torch.double)
    for i in range(4):
        for j in range(4):
            expected[:, i, j] = conv.adjacency[i, j] + conv.alpha * torch.tanh(q[:, i] - k[:, j])
    torch.testing.assert_close(conv.matrix(x), expected)
    fresh = GraphConv(6, 6, 4)
    torch.testing.assert_close(fresh.matrix(x.float())[0].sum(1), torch.ones(4))
    assert fresh.alpha == 0


@pytest.mark.parametrize("out_dim", [3, 9])
def test_both_orders_of_the_product_agree(out_dim):
    conv = busy(GraphConv(6, out_dim, 5, norm=False, activation=False))
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(
        conv(x), conv.matrix(x) @ x @ conv.weight.weight.T, atol=1e-5, rtol=1e-4
    )


def test_similarity_rows_sum_to_one_and_norm_and_activation_come_last():
    conv = busy(GraphConv(8, 8, 5, adjacency="similarity"))
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(conv.matrix(x).sum(-1), torch.ones(3, 5))
    expected = torch.nn.functional.gelu(conv.norm(conv.matrix(x) @ x @ conv.weight.weight.T))
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-4)
    conv.residual = True
    torch.testing.assert_close(conv(x), x + expected, atol=1e-5, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), st.sampled_from(["content", "position"]))
def test_super_nodes_are_true_means(nodes, count, scores):
    pool = busy(SuperNodePool(4, nodes, count, scores))
    x = torch.randn(2, nodes, 4)
    super_nodes, assignment = pool(x, return_assignment=True)
    assert super_nodes.shape == (2, count, 4) and assignment.shape == (2, nodes, count)
    torch.testing.assert_close(assignment.sum(-1), torch.ones(2, nodes))
    for m in range(count):
        weights = assignment[0, :, m]
        torch.testing.assert_close(
            super_nodes[0, m], (weights[:, None] * x[0]).sum(0) / weights.sum()
        )
    constant = torch.full((1, nodes, 4), 2.5)
    torch.testing.assert_close(pool(constant), torch.full((1, count, 4), 2.5))
    assert (super_nodes.amax(1) <= x.amax(1) + 1e-5).all() and (
        super_nodes.amin(1) >= x.amin(1) - 1e-5
    ).all()


def test_super_nodes_follow_their_content():
    pool = busy(SuperNodePool(4, 7, 3))
    x, order = torch.randn(2, 7, 4), torch.tensor([6, 2, 0, 1, 5, 3, 4])
    torch.testing.assert_close(pool(x[:, order]), pool(x))
    fixed = busy(SuperNodePool(4, 7, 3, scores="position"))
    assert not torch.allclose(fixed(x[:, order]), fixed(x), atol=1e-3)


def test_one_lost_node_still_has_a_voice():
    """A super-node that almost no node belongs to stays a mean, and finite."""
    pool = SuperNodePool(2, 3, 2)
    with torch.no_grad():
        pool.score.weight.zero_()
        pool.score.bias.copy_(torch.tensor([200.0, 0.0]))
    assert torch.isfinite(pool(torch.randn(1, 3, 2))).all()


@pytest.mark.parametrize("pool, count", [("after", 2), ("before", 2), ("none", 64)])
def test_head_shapes_and_places_of_the_pool(pool, count):
    head = GCNHead(6, 4, 64, pool=pool)
    out = head(torch.randn(3, 64, 6))
    count = 8 if count == 2 else count  # 64 / 32 = 2 would be fewer than the least of 8
    assert out["super_nodes"].shape == (3, count, 4) and out["embedding"].shape == (3, 4)
    torch.testing.assert_close(out["embedding"], out["super_nodes"].mean(1))
    assert head.graph.adjacency.shape[0] == (count if pool == "before" else 64)
    assert (out["assignment"] is None) == (pool == "none")
    assert GCNHead(8, 8, 576).super_nodes == 18


def test_head_without_graph():
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(
        GCNHead(6, 6, 5, graph=False, pool="none")(x)["embedding"], x.mean(1)
    )
    assert GCNHead(6, 4, 5, graph=False)(x)["embedding"].shape == (2, 4)


def test_a_graph_of_the_readers_own():
    built = []

    def graph(in_dim, out_dim, nodes):
        built.append((in_dim, out_dim, nodes))
        return torch.nn.Linear(in_dim, out_dim)

    for pool, on in (("after", 64), ("before", 8), ("none", 64)):
        out = GCNHead(6, 4, 64, graph=graph, pool=pool)(torch.randn(2, 64, 6))
        assert out["embedding"].shape == (2, 4) and built.pop() == (6, 4, on)
