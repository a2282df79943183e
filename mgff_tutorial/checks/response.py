"""Checks of notebook 10: the text's own convention, rollout, and the side of a cut that is the
object.
"""

import torch

from .cases import compare, draw
from .core import exercise

INNER, ALL = slice(1, -1), slice(None)


def _layers(draw, layers, heads, tokens):
    """Scores of several layers."""
    return [2 * draw.normal(heads, tokens, tokens) for _ in range(layers)]


def _text_rule(scores, prefix, norm=-2, total=1, heads=torch.mean, drop=(True, True)):
    weights = sum(heads(s.softmax(norm), 0) for s in scores)
    rows, columns = (slice(prefix if d else 0, None) for d in drop)
    received = weights[rows, columns].sum(total)
    return received if drop[0] or total == 0 else received[prefix:]


@exercise("Exercise 10.1")
def check_text_importance(text_importance):
    """Columns that sum to 1, then sums of rows: several layers, heads and prefixes."""
    sizes = ((3, 2, 8, 1), (1, 3, 6, 0), (2, 1, 9, 5), (4, 2, 5, 1))
    compare(
        text_importance,
        _text_rule,
        [(_layers(draw, *size), prefix) for *size, prefix in sizes],
        [
            (
                "Today's softmax, over rows. In the text a QUERY is a column, so each column sums "
                "to 1.",
                lambda s, p: _text_rule(s, p, norm=-1),
            ),
            (
                "These are sums of columns: what a query gives, nearly the same for all. Sum each "
                "ROW: what a key receives.",
                lambda s, p: _text_rule(s, p, total=0),
            ),
            (
                "That is today's convention throughout: softmax over rows, sums of columns. Here "
                "rows and columns are exchanged.",
                lambda s, p: _text_rule(s, p, norm=-1, total=0),
            ),
            (
                "The prefix tokens still ask; drop their columns as well.",
                lambda s, p: _text_rule(s, p, drop=(True, False)),
            ),
            (
                "The prefix tokens are still counted among the patches; drop their rows.",
                lambda s, p: sum(x.softmax(-2).mean(0) for x in s)[:, p:].sum(1),
            ),
            (
                "The prefix tokens take part in the softmax; drop them afterwards.",
                lambda s, p: _text_rule([x[:, p:, p:] for x in s], 0),
            ),
            ("Heads are averaged, not summed.", lambda s, p: _text_rule(s, p, heads=torch.sum)),
            ("Layers are summed, not averaged.", lambda s, p: _text_rule(s, p) / len(s)),
            (
                "This is the last layer alone; the rule takes all of them.",
                lambda s, p: _text_rule(s[-1:], p),
            ),
            (
                "This is the first layer alone; the rule takes all of them.",
                lambda s, p: _text_rule(s[:1], p),
            ),
            (
                "Softmax each head by itself, then average the heads.",
                lambda s, p: _text_rule([x.mean(0, keepdim=True) for x in s], p),
            ),
            (
                "The softmax is missing.",
                lambda s, p: sum(x.mean(0) for x in s)[p:, p:].sum(1),
            ),
        ],
        describe=lambda s, p: (
            f"{len(s)} layers of {tuple(s[0].shape)} with {p} token(s) before the patches"
        ),
        form="one number for each patch",
        hint="Softmax over each column, mean over heads, sum over layers, patches alone, then the "
        "sum of each row.",
    )


def _rollout(matrices, prefix, residual=True, scale=2, backwards=False, row=True, heads=None):
    out = torch.eye(matrices[0].shape[-1])
    for m in matrices[::-1] if backwards else matrices:
        step = m.mean(0) if heads is None else heads(m)
        out = ((step + torch.eye(len(step))) / scale if residual else step) @ out
    return out[0, prefix:] if row else out[prefix:, 0]


@exercise("Exercise 10.2")
def check_rollout(rollout):
    """Products of (A + I) / 2, last layer leftmost, for several depths and prefixes."""
    sizes = ((3, 2, 8, 1), (1, 3, 6, 1), (2, 1, 9, 5), (5, 2, 5, 2))
    compare(
        rollout,
        _rollout,
        [([m.softmax(-1) for m in _layers(draw, *size)], prefix) for *size, prefix in sizes],
        [
            (
                "The residual path is missing: add the identity and divide by 2.",
                lambda m, p: _rollout(m, p, residual=False),
            ),
            (
                "The order is reversed: the last layer stands leftmost, it reads what the earlier "
                "ones made.",
                lambda m, p: _rollout(m, p, backwards=True),
            ),
            (
                "This is a column. The class token's ROW says what it has been made of.",
                lambda m, p: _rollout(m, p, row=False),
            ),
            (
                "Divide A + I by 2, so that rows still sum to 1.",
                lambda m, p: _rollout(m, p, scale=1),
            ),
            (
                "This is the last layer alone; multiply all of them.",
                lambda m, p: _rollout(m[-1:], p),
            ),
            (
                "Layers are multiplied, not averaged.",
                lambda m, p: sum(_rollout([x], p) for x in m) / len(m),
            ),
            (
                "Heads are averaged; yours takes the largest.",
                lambda m, p: _rollout(m, p, heads=lambda x: x.amax(0)),
            ),
            (
                "Heads are averaged, not summed.",
                lambda m, p: _rollout(m, p, heads=lambda x: x.sum(0)),
            ),
            (
                "Matrices are multiplied by @, row times column; * multiplies number by number.",
                lambda m, p: torch.stack(
                    [(x.mean(0) + torch.eye(x.shape[-1])) / 2 for x in m]
                ).prod(0)[0, p:],
            ),
            (
                "The identity is mixed in at every layer, not once at the end.",
                lambda m, p: _rollout(m, p, residual=False) / 2,
            ),
            (
                "The prefix tokens must be left out.",
                lambda m, p: _rollout(m, 0),
            ),
            (
                "Only the class token is left out; there may be more tokens before the patches.",
                lambda m, p: _rollout(m, 1),
            ),
        ],
        describe=lambda m, p: (
            f"{len(m)} layers of {tuple(m[0].shape)} with {p} token(s) before the patches"
        ),
        form="one number for each patch",
        hint="(mean over heads + identity) / 2 for each layer, the last one leftmost in the "
        "product; row 0 without the prefix.",
    )


def _filled(grid, rows, columns):
    """A grid of 0 with a block of 1."""
    picture = torch.zeros(grid)
    picture[rows, columns] = 1
    return picture


def _border(grid, rows=INNER, columns=INNER):
    return _filled(grid, rows, columns) == 0


def _above(cut, threshold=torch.mean):
    return (cut > threshold(cut)).float()


def _side(cut, grid, seen=_above, of=torch.mean, border=_border):
    patches, outside = seen(cut).view(grid), border(grid)
    return -cut if of(patches[outside]) > of(patches[~outside]) else cut


@exercise("Exercise 10.3", points=2)
def check_fiedler_side(object_side):
    """Birds of all sizes on grids that are not square; some touch the border, some cuts are far
    from 0.
    """
    cases = []
    for rows, columns in ((6, 8), (9, 5), (5, 12), tuple(draw.integers(2, 6, 11))):
        birds = (
            (slice(rows // 3, rows - 1), slice(2, columns - 2)),
            (slice(2, None), slice(2, 4)),  # touches the lower border
            (INNER, INNER),  # more patches of bird than of background
            (draw.integer(1, rows - 2), draw.integer(1, columns - 2)),
        )
        for bird in birds:
            shape = _filled((rows, columns), *bird)
            cut = (shape + 0.05 * draw.normal(rows, columns)).flatten()
            turned = (sign * cut + shift for shift in (0.0, 3.0) for sign in (1, -1))
            cases += [(one, (rows, columns)) for one in turned]
    ring = _border((5, 5)).float()
    cases += [((ring * draw.uniform(5, 5) + sign).flatten(), (5, 5)) for sign in (-3, 0, 3)]

    for _ in range(25):  # shares of border and inside that are close to each other
        grid = tuple(draw.integer(4, 9) for _ in "rc")
        cut = (draw.uniform(*grid) < draw.integer(2, 8) / 10).float() + draw.integer(-2, 2)
        cases.append((cut.flatten(), grid))
    at_mean = torch.zeros(4, 4)  # the border lies at the mean, not above it
    at_mean[1, 1:3], at_mean[2, 1:3] = 1, -1
    equal = torch.zeros(4, 4)  # 3 of 12 and 1 of 4
    equal[0, :3] = equal[1, 1] = 1
    cases += [(at_mean.flatten(), (4, 4)), (equal.flatten(), (4, 4))]

    compare(
        object_side,
        _side,
        cases,
        [
            (
                "Compare the SHARE of border patches with the share of inner patches, not counts: "
                "there are fewer of the one than of the other.",
                lambda c, g: _side(c, g, of=torch.sum),
            ),
            (
                "The background's side came back: turn the cut around when the BORDER's share is "
                "larger.",
                lambda c, g: -_side(c, g),
            ),
            ("The cut is never turned around.", lambda c, g: c),
            ("The cut is always turned around.", lambda c, g: -c),
            (
                "The side above the cut's MEAN is asked for, not above 0.",
                lambda c, g: _side(c, g, lambda c: _above(c, lambda c: 0.0)),
            ),
            (
                "The side above the cut's mean, not above its median.",
                lambda c, g: _side(c, g, lambda c: _above(c, torch.median)),
            ),
            (
                "A larger side need not be the background: compare border with inner patches.",
                lambda c, g: -c if _above(c).mean() > 0.5 else c,
            ),
            (
                "The border has four sides; yours are the first and last row.",
                lambda c, g: _side(c, g, border=lambda g: _border(g, columns=ALL)),
            ),
            (
                "The border has four sides; yours are the first and last column.",
                lambda c, g: _side(c, g, border=lambda g: _border(g, rows=ALL)),
            ),
            (
                "Count the patches above the mean; how far above does not matter.",
                lambda c, g: _side(c, g, lambda c: c),
            ),
            (
                "Return all patches in one row, as they came.",
                lambda c, g: _side(c, g).view(g),
            ),
            (
                "Return the cut or -cut, its numbers unchanged; not the mask.",
                lambda c, g: (_side(c, g) > _side(c, g).mean()).float(),
            ),
            (
                "Its numbers changed; return cut or -cut, nothing else.",
                lambda c, g: c.abs(),
            ),
        ],
        describe=lambda c, g: (
            f"a cut of {g[0]} x {g[1]} patches from {c.min().item():.2f} to {c.max().item():.2f}"
        ),
        form="a tensor like the cut",
        hint="Of the border patches, which share lies above the cut's mean, and which of the inner "
        "ones? Turn the cut around if the first is larger.",
        tolerance=1e-6,
    )
