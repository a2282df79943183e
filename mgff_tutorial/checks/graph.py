"""Checks of notebook 08: an adjacency, how far a graph convolution hears, super-nodes that share
nothing, and a graph over positions and granularities.
"""

import numpy as np
import torch

from .cases import compare, draw
from .core import exercise


def _such_as(links):
    """The first of some links, and how many there are."""
    places = links.nonzero().tolist()
    text = "such as from node {} to node {} ({} in all)"
    return text.format(*places[0], len(places)) if places else ""


def diagnose_adjacency(got, right):
    """What is wrong with an adjacency that should have self-loops and rows that sum to 1.

    Args:
        got, right: (N, N) tensors, the reader's and the right one.
    """
    links, linked, sums = got > 0, right > 0, got.sum(1)
    ones, degrees = torch.ones_like(sums), linked.float().sum(1)
    differ, uneven = not torch.equal(links, linked), not torch.allclose(sums, ones, atol=1e-5)
    worst = (sums - 1).abs().argmax().item()
    findings = (  # the first that holds is said
        (
            not torch.isfinite(got).all(),
            "Some numbers are not finite: a row without any link was divided by 0; add the "
            "self-loops first.",
        ),
        ((got < 0).any(), "There are negative numbers; a share of a neighbour is never negative."),
        (
            (got.diagonal() == 0).all(),
            "The self-loops are missing: the diagonal is 0, so every node forgets itself.",
        ),
        (
            torch.allclose(got, right.T, atol=1e-6),
            "The matrix is transposed (its columns sum to 1 instead of its rows): divide each ROW "
            "by its sum, with keepdim=True.",
        ),
        (
            differ and torch.equal(links.T, linked),
            "The links are transposed: row i must hold what node i takes from others.",
        ),
        (
            differ and links.all(),
            "Every node is linked to every other: a softmax turns zeros into shares; divide by "
            "the row sum.",
        ),
        ((links & ~linked).any(), f"There is a link too many, {_such_as(links & ~linked)}."),
        ((linked & ~links).any(), f"There is a link missing, {_such_as(linked & ~links)}."),
        (
            uneven and torch.allclose(got.sum(0), ones, atol=1e-5),
            "The columns sum to 1 instead of the rows: the division runs along the wrong side.",
        ),
        (
            uneven and torch.allclose(got, linked / (degrees[:, None] * degrees).sqrt(), atol=1e-5),
            "This is the symmetric normalisation of Kipf and Welling; here rows must sum to 1, so "
            "that W = I gives means.",
        ),
        (uneven, f"The rows do not sum to 1: row {worst} sums to {sums[worst]:.3g}."),
        (
            True,
            "The rows sum to 1, but neighbours do not share equally: every neighbour, and the "
            "node itself, counts once.",
        ),
    )
    return next(text for found, text in findings if found)


def _diagnosis(expected, got):
    """`diagnose_adjacency` for results of `cases.read`."""
    if not isinstance(got, np.ndarray) or got.shape != expected.shape:
        return ""
    return diagnose_adjacency(torch.as_tensor(got).float(), torch.as_tensor(expected).float())


def _rows(links):
    return links / links.sum(1, keepdim=True)


def _looped(links):
    return links + torch.eye(len(links))


def _both_ways(links):
    return ((links + links.T) > 0).float()


def _star(nodes):
    middle = torch.eye(nodes)[0]
    return _both_ways(middle.outer(1 - middle))


def _random_links(draw, nodes, share, symmetric=True):
    links = (draw.uniform(nodes, nodes) < share).float().fill_diagonal_(0)
    return _both_ways(links) if symmetric else links


@exercise("Exercise 8.1")
def check_adjacency(adjacency):
    """Links of a path, a star, a graph with a lonely node, one-way links, and random graphs."""
    path, lonely = (_both_ways(torch.tensor(steps).diag(1)) for steps in ([1, 1, 1], [1, 1, 0]))
    cases = [path, _star(5), lonely, torch.diag(torch.ones(4), 1), torch.zeros(1, 1)]
    cases += [_random_links(draw, draw.integer(5, 8), 0.4, symmetric) for symmetric in (1, 0, 0)]
    compare(
        adjacency,
        lambda links: _rows(_looped(links)),
        [(links,) for links in cases],
        [
            (
                "The diagonal counts twice: a node is linked to itself once.",
                lambda links: _rows(links + 2 * torch.eye(len(links))),
            ),
            (
                "The self-loops come after the division; add them first, so that they are shares, "
                "too.",
                lambda links: (
                    links / links.sum(1, keepdim=True).clamp(min=1) + torch.eye(len(links))
                ),
            ),
            (
                "Links go one way: row i holds what node i takes from others; do not add the "
                "transposed ones.",
                lambda links: _rows(_looped(_both_ways(links))),
            ),
        ],
        describe=lambda links: f"{len(links)} nodes with {int(links.sum())} links",
        form="an (N, N) tensor",
        hint=_diagnosis,
    )


def _until_all_heard(a, count_from=0, never=-1, heard=lambda reach: reach.all(), both=False):
    linked = (a > 0) | ((a > 0).T if both else (a < 0))
    reach = torch.eye(len(a), dtype=torch.bool)
    for layers in range(len(a) + 1):
        if heard(reach):
            return layers + count_from
        reach = (linked.double() @ reach.double()) > 0
    return never


@exercise("Exercise 8.2")
def check_layers_until_all_heard(layers_until_all_heard):
    """Paths, rings, stars, one-way links, a graph in two parts, a single node, random graphs."""
    n = draw.integer(4, 7)
    step = torch.diag(torch.ones(n - 1), 1)
    ring = step.clone()
    ring[-1, 0] = 1
    parts = torch.block_diag(torch.ones(2, 2), torch.ones(n - 2, n - 2))
    tail = torch.zeros(n, n)  # a clique with one node at the end of a stick
    tail[: n - 1, : n - 1] = 1
    tail[0, -1] = tail[-1, 0] = 1
    graphs = [step + step.T, ring, ring + ring.T, _star(n), step, parts, torch.zeros(1, 1)]
    graphs += [torch.ones(n, n), tail, torch.zeros(n, n)]
    graphs += [
        _random_links(draw, draw.integer(5, 9), 0.3, symmetric) for symmetric in (1, 1, 0, 0)
    ]
    cases = []
    for links in graphs:
        order = torch.tensor(draw.shuffled(list(range(len(links)))))
        links = ((links + torch.eye(len(links))) > 0) * (0.1 + draw.uniform(len(links), len(links)))
        cases.append((_rows(links[order][:, order]),))
    compare(
        layers_until_all_heard,
        _until_all_heard,
        cases,
        [
            (
                "You count one layer too many: after 0 layers a node has heard of itself, after "
                "the first of its neighbours.",
                lambda a: _until_all_heard(a, 1) if _until_all_heard(a) >= 0 else -1,
            ),
            (
                "A single node has heard of all nodes before the first layer: 0.",
                lambda a: max(_until_all_heard(a), 1) if _until_all_heard(a) >= 0 else -1,
            ),
            (
                "You count one layer too few.",
                lambda a: max(_until_all_heard(a) - 1, 0) if _until_all_heard(a) >= 0 else -1,
            ),
            (
                "If some node never hears of another, return -1.",
                lambda a: _until_all_heard(a, never=len(a)),
            ),
            (
                "If some node never hears of another, return -1, not 0.",
                lambda a: _until_all_heard(a, never=0),
            ),
            (
                "Links go one way: row i holds those that node i takes from; you go both ways.",
                lambda a: _until_all_heard(a, both=True),
            ),
            (
                "EVERY node must have heard of every other; you stop when one node has.",
                lambda a: _until_all_heard(a, heard=lambda reach: reach.all(1).any()),
            ),
            (
                "Every node must have heard; you follow the first one alone.",
                lambda a: _until_all_heard(a, heard=lambda reach: reach[0].all()),
            ),
            (
                "Follow the links, they lead to more in each layer: it is not one layer less than "
                "there are nodes.",
                lambda a: len(a) - 1 if _until_all_heard(a) >= 0 else -1,
            ),
        ],
        describe=lambda a: f"{len(a)} nodes with {int((a > 0).sum()) - len(a)} links",
        form="an integer",
        hint="After one layer node i has heard of those with A[i, j] > 0; after two, of those that "
        "A A links it to. When has everybody heard of everybody?",
        integers=True,
    )


def _hard(x, scores, empty=0.0, last=False, divide=True):
    b, n, m = scores.shape
    s = scores.numpy()
    winner = m - 1 - s[..., ::-1].argmax(-1) if last else s.argmax(-1)
    assignment = torch.nn.functional.one_hot(torch.as_tensor(winner.copy()), m).to(x.dtype)
    received = assignment.sum(1)[..., None]
    sums = assignment.mT @ x
    return torch.where(received > 0, sums / received.clamp(min=1), empty) if divide else sums


def _soft(x, scores):
    s = scores.softmax(-1)
    return (s / s.sum(1, keepdim=True)).mT @ x


@exercise("Exercise 8.3", points=2)
def check_hard_super_nodes(hard_super_nodes):
    """Means of whole nodes; ties, super-nodes that get nothing, several batches and sizes."""
    sizes = ((2, 6, 4, 3), (1, 5, 2, 4), (3, 7, 3, 2), (2, 3, 5, 6), (2, 4, 3, 1))
    cases = [(draw.normal(b, n, c), draw.normal(b, n, m)) for b, n, c, m in sizes]
    x, scores = draw.normal(2, 6, 3), draw.normal(2, 6, 4).round()  # ties
    scores[:, :3] = torch.tensor([1.0, -2.0, 1.0, 1.0])
    falling = torch.tensor([0.0, -1, -2]).expand(2, 4, 3).clone()
    cases += [(x, scores), (draw.normal(2, 4, 3) + 2, falling)]

    def nodes_compete(x, scores):
        winner = scores.argmax(1)  # (B, M): the best node of each super-node
        return torch.gather(x, 1, winner[..., None].expand(-1, -1, x.shape[2]))

    compare(
        hard_super_nodes,
        _hard,
        cases,
        [
            (
                "That is the soft assignment: a node must go WHOLLY to one super-node.",
                _soft,
            ),
            (
                "These are sums; divide by the number of nodes that a super-node received.",
                lambda x, s: _hard(x, s, divide=False),
            ),
            (
                "You divide by the number of all nodes; divide by those that a super-node "
                "received.",
                lambda x, s: _hard(x, s, divide=False) / x.shape[1],
            ),
            (
                "A super-node without a node is 0 / 0; it must be zeros.",
                lambda x, s: _hard(x, s, empty=float("nan")),
            ),
            (
                "Of equal scores take the first super-node, not the last.",
                lambda x, s: _hard(x, s, last=True),
            ),
            (
                "Nodes choose super-nodes, along the last dimension; here super-nodes choose one "
                "node each.",
                nodes_compete,
            ),
            (
                "A node goes where its score is HIGHEST.",
                lambda x, s: _hard(x, -s),
            ),
            (
                "Of equal scores only the first counts; here a node goes to all of them.",
                lambda x, s: (
                    ((s == s.amax(-1, keepdim=True)).float()).mT
                    @ x
                    / (s == s.amax(-1, keepdim=True)).float().sum(1)[..., None].clamp(min=1)
                ),
            ),
            (
                "Every image has an assignment of its own.",
                lambda x, s: _hard(x, s[:1].expand_as(s)),
            ),
        ],
        describe=lambda x, s: f"{x.shape[0]} images, {x.shape[1]} nodes, {s.shape[2]} super-nodes",
        form="a (B, M, C) tensor",
        hint="Find each node's best super-node (argmax over the last dimension), then take the "
        "mean over the nodes of each; zeros where there are none.",
    )


def _scale_links(grid, granularities, diagonal=False, all_maps=False, wrap=False, loops=True):
    """0/1 links of exercise 8.4, and of the mistakes that it invites."""
    height, width = grid
    count = granularities * height * width
    node = torch.arange(count)
    g, p = node // (height * width), node % (height * width)
    y, x = p // width, p % width

    def apart(of):
        return (of[:, None] - of[None]).abs()

    if wrap:
        near = (apart(p) == 1) | (apart(p) == width)
    elif diagonal:
        near = torch.maximum(apart(y), apart(x)) == 1
    else:
        near = apart(y) + apart(x) == 1
    other = apart(g) > 0 if all_maps else apart(g) == 1
    links = ((apart(g) == 0) & near) | (other & (apart(p) == 0))
    return (links | torch.eye(count, dtype=torch.bool) if loops else links).float()


def _naive(grid, granularities, width_of=1):
    """Neighbours by node number alone: i +- 1 and i +- width, over the ends of rows and maps."""
    height, width = grid
    node = torch.arange(granularities * height * width)
    gap = (node[:, None] - node[None]).abs()
    links = (gap <= 1) | (gap == (width, height)[width_of == 0]) | (gap == height * width)
    return _rows(links.float())


@exercise("Exercise 8.4", points=4)
def check_scale_adjacency(scale_adjacency):
    """A graph over positions and granularities; says which rule of the text is broken."""
    cases = [((2, 3), 3), ((3, 3), 4), ((3, 2), 1), ((1, 4), 2), ((4, 1), 3), ((1, 1), 3)]
    cases += [(tuple(draw.integers(2, 2, 5)), draw.integer(2, 4))]

    def broken(**rules):
        return lambda grid, count: _rows(_scale_links(grid, count, **rules))

    def numbered(grid, count, axes):
        """Nodes are numbered along other axes than map, row, column."""
        links = _scale_links(grid, count)
        order = torch.arange(len(links)).view(count, *grid).permute(axes).flatten()
        return _rows(links[order][:, order])

    compare(
        scale_adjacency,
        lambda grid, count: _rows(_scale_links(grid, count)),
        cases,
        [
            (
                "The last position of a row is linked to the first of the next row: i + 1 is a "
                "neighbour only inside a row.",
                broken(wrap=True),
            ),
            (
                "Neighbours are found by node number alone: i + 1 is a neighbour only inside a row "
                "of one map, i + W only inside one map.",
                _naive,
            ),
            (
                "Neighbours are found by node number alone, and a step down is W nodes, not H.",
                lambda grid, count: _naive(grid, count, 0),
            ),
            (
                "Diagonal positions are linked; only up, down, left and right are asked for.",
                broken(diagonal=True),
            ),
            (
                "A position is linked to all other maps; only the next finer and the next coarser "
                "are asked for.",
                broken(all_maps=True),
            ),
            (
                "No links between the maps: each position hears its own in the next ones.",
                lambda grid, count: _rows(torch.kron(torch.eye(count), _scale_links(grid, 1))),
            ),
            (
                "The self-loops are missing: the diagonal is 0, so every node forgets itself.",
                broken(loops=False),
            ),
            (
                "Nodes are numbered map by map: g * H * W + row * W + column.",
                lambda grid, count: numbered(grid, count, (1, 2, 0)),
            ),
            (
                "Height and width are exchanged, or positions are numbered column by column; the "
                "number is row * W + column.",
                lambda grid, count: numbered(grid, count, (0, 2, 1)),
            ),
            (
                "The rows do not sum to 1: divide each by its sum.",
                _scale_links,
            ),
            (
                "Every row is divided by the same number; nodes at the border have fewer "
                "neighbours.",
                lambda grid, count: _scale_links(grid, count) / 7,
            ),
            (
                "The matrix is transposed: divide each ROW by its sum, with keepdim=True.",
                lambda grid, count: _rows(_scale_links(grid, count)).T,
            ),
        ],
        describe=lambda grid, count: f"{count} maps of {grid[0]} x {grid[1]}",
        form="one row and one column for each node g * H * W + position",
        hint=_diagnosis,
    )
