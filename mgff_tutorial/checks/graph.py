"""Checks of notebook 08: an adjacency, a graph convolution, super-nodes, and a graph over two
granularities.
"""

import torch

from .core import ask, exercise, expect, expect_close, expect_shape


def diagnose_adjacency(got, right):
    """What is wrong with an adjacency that should have self-loops and rows that sum to 1; "" if
    nothing is found.

    Args:
        got, right: (N, N) tensors, the reader's and the right one.
    """
    linked = right > 0
    if not torch.isfinite(got).all():
        return (
            "Some numbers are not finite: a row without any link was divided by 0; add the "
            "self-loops first."
        )
    if (got < 0).any():
        return "There are negative numbers; a share of a neighbour is never negative."
    if (got.diagonal() == 0).all():
        return "The self-loops are missing: the diagonal is 0, so every node forgets itself."
    if torch.allclose(got, right.T, atol=1e-6):
        return (
            "The matrix is transposed (its columns sum to 1 instead of its rows): divide each ROW "
            "by its sum, "
            "with keepdim=True."
        )
    if not torch.equal(got > 0, linked):
        if torch.equal((got > 0).T, linked):
            return "The links are transposed: row i must hold what node i takes from others."
        extra, missing = ((got > 0) & ~linked).nonzero(), (linked & ~(got > 0)).nonzero()
        if (got > 0).all():
            return (
                "Every node is linked to every other: a softmax turns zeros into shares; "
                "divide by the row sum."
            )
        if len(extra):
            i, j = extra[0].tolist()
            return (
                f"There is a link too many, such as from node {i} to node {j} "
                f"({len(extra)} in all)."
            )
        i, j = missing[0].tolist()
        return (
            f"There is a link missing, such as from node {i} to node {j} ({len(missing)} in all)."
        )
    sums = got.sum(1)
    if not torch.allclose(sums, torch.ones_like(sums), atol=1e-5):
        if torch.allclose(got.sum(0), torch.ones_like(sums), atol=1e-5):
            return (
                "The columns sum to 1 instead of the rows: the division runs along the wrong side."
            )
        degrees = linked.float().sum(1)
        if torch.allclose(got, linked / (degrees[:, None] * degrees[None]).sqrt(), atol=1e-5):
            return (
                "This is the symmetric normalisation of Kipf and Welling; here rows must sum to "
                "1, so that W = I "
                "gives means."
            )
        i = (sums - 1).abs().argmax().item()
        return f"The rows do not sum to 1: row {i} sums to {sums[i]:.3g}."
    return (
        "The rows sum to 1, but neighbours do not share equally: every neighbour, and the node "
        "itself, counts once."
    )


@exercise("Exercise 8.1")
def check_adjacency(adjacency):
    """Links of a path, a star and a graph with a lonely node."""
    path = torch.diag(torch.ones(3), 1) + torch.diag(torch.ones(3), -1)
    star = torch.zeros(5, 5)
    star[0, 1:] = star[1:, 0] = 1
    lonely = torch.zeros(4, 4)
    lonely[0, 1] = lonely[1, 0] = lonely[1, 2] = lonely[2, 1] = 1
    for name, links in (
        ("path of 4 nodes", path),
        ("star of 5 nodes", star),
        ("graph with a lonely node", lonely),
    ):
        right = links + torch.eye(len(links))
        right = right / right.sum(1, keepdim=True)
        before = links.clone()
        got = ask(adjacency, links)
        expect(
            torch.equal(links, before),
            "Your function changes the links it was given; work on a copy.",
        )
        expect_shape(name, got, right.shape)
        if not torch.allclose(got.float(), right, atol=1e-5):
            expect(False, f"{name}: {diagnose_adjacency(got.float(), right)}")


@exercise("Exercise 8.2")
def check_graph_conv(graph_conv):
    """A X W on a batch, with an adjacency that is not symmetric and a W that is not square."""
    generator = torch.Generator().manual_seed(0)
    x, a = torch.randn(2, 4, 3, generator=generator), torch.rand(4, 4, generator=generator)
    w = torch.randn(3, 5, generator=generator)
    right = a @ x @ w
    got = ask(graph_conv, x, a, w)
    expect_shape("2 images, 4 nodes, 3 to 5 channels", got, right.shape, "The result is (B, N, D).")
    hint = ""
    if torch.allclose(got, a.T @ x @ w, atol=1e-5):
        hint = (
            "The adjacency is transposed: row i of A mixes the nodes j for node i, so A stands "
            "left of X."
        )
    elif torch.allclose(got, torch.relu(right), atol=1e-5):
        hint = "No activation here: A X W alone."
    elif torch.allclose(got, x @ w, atol=1e-5):
        hint = "The neighbours are not used: A is missing."
    expect_close("A X W", got, right, 1e-4, hint)


@exercise("Exercise 8.3", points=2)
def check_super_nodes(super_nodes):
    """True means under a soft assignment; the usual ways to miss them."""
    generator = torch.Generator().manual_seed(1)
    x, scores = torch.randn(2, 6, 4, generator=generator), torch.randn(2, 6, 3, generator=generator)
    s = scores.softmax(-1)
    right = (s / s.sum(1, keepdim=True)).mT @ x
    got = ask(super_nodes, x, scores)
    expect_shape("6 nodes into 3 super-nodes", got, right.shape, "The result is (B, M, C).")
    hint = ""
    if torch.allclose(got, s.mT @ x, atol=1e-5):
        hint = (
            "These are weighted SUMS: divide by the weights that a super-node received, "
            "sum_i S[i, m]."
        )
    elif torch.allclose(got, s.mT @ x / 6, atol=1e-5):
        hint = (
            "You divide by the number of nodes; divide by the weights that a super-node "
            "received, sum_i S[i, m]."
        )
    elif torch.allclose(got, scores.softmax(1).mT @ x, atol=1e-5):
        hint = (
            "The softmax runs over nodes; a node divides itself among SUPER-NODES (last dimension)."
        )
    elif torch.allclose(got, scores.mT @ x, atol=1e-5):
        hint = "The softmax is missing."
    expect_close("super-nodes", got, right, 1e-4, hint)


def _scale_links(grid, granularities, diagonal=False, all_maps=False, wrap=False, loops=True):
    """0/1 links of exercise 8.4, and of the mistakes that it invites."""
    height, width = grid
    count = granularities * height * width
    links = torch.zeros(count, count)
    for i in range(count):
        for j in range(count):
            (gi, pi), (gj, pj) = divmod(i, height * width), divmod(j, height * width)
            dy, dx = abs(pi // width - pj // width), abs(pi % width - pj % width)
            same_map = max(dy, dx) == 1 if diagonal else dy + dx == 1
            if wrap:
                same_map = abs(pi - pj) in (1, width)
            other_map = pi == pj and (gi != gj if all_maps else abs(gi - gj) == 1)
            links[i, j] = float(other_map or (gi == gj and same_map) or (i == j and loops))
    return links


def _rows(links):
    return links / links.sum(1, keepdim=True)


@exercise("Exercise 8.4", points=4)
def check_scale_adjacency(scale_adjacency):
    """A graph over positions and granularities; says which rule of the text is broken."""
    for grid, granularities in (((2, 3), 3), ((3, 3), 4), ((3, 2), 1)):
        right = _rows(_scale_links(grid, granularities))
        got = ask(scale_adjacency, grid, granularities)
        what = f"{granularities} maps of {grid[0]} x {grid[1]}"
        expect_shape(
            what, got, right.shape, "One row and one column for each node g * H * W + position."
        )
        got = got.float()
        if torch.allclose(got, right, atol=1e-5):
            continue
        hint = diagnose_adjacency(got, right)
        linked = got > 0
        for options, text in (
            (
                {"wrap": True},
                "The last position of a row is linked to the first of the next row: i + 1 is a "
                "neighbour only inside a row.",
            ),
            (
                {"diagonal": True},
                "Diagonal positions are linked; only up, down, left and right are asked for.",
            ),
            (
                {"all_maps": True},
                "A position is linked to all other maps; only the next finer and the next "
                "coarser are asked for.",
            ),
            (
                {"loops": False},
                "The self-loops are missing: the diagonal is 0, so every node forgets itself.",
            ),
        ):
            wrong = _scale_links(grid, granularities, **options) > 0
            if torch.equal(linked, wrong) and not torch.equal(wrong, right > 0):
                hint = text
                break
        expect(False, f"{what}: {hint}")
