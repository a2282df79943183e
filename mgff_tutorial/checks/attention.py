"""Checks of notebooks 06 and 07: how sharp attention is, a distance that it learns to prefer, heads
switched off; squeeze and excitation, what it costs, and how it scales a map.
"""

import torch
import torch.nn.functional as F

from .cases import compare, draw
from .core import exercise

# ---- notebook 06 ----


def _weights(q, k, bias, sharpness, exponent=0.5):
    return (sharpness * (q @ k.mT) / q.shape[-1] ** exponent + bias).softmax(-1)


def _entropy(weights):
    return -torch.special.xlogy(weights, weights).sum(-1)


@exercise("Exercise 6.1")
def check_effective_positions(effective_positions):
    """exp(entropy) of each row, with and without bias, flat, sharp and with exact zeros."""
    cases = []
    for batch, n, d, sharpness in ((2, 5, 8, 1.0), (3, 4, 2, 0.0), (1, 6, 3, 4.0), (2, 7, 5, 0.3)):
        q, k, bias = draw.normal(batch, n, d), draw.normal(batch, n, d), draw.normal(n, n)
        cases += [(q, k, bias, sharpness), (q, k, torch.zeros(n, n), sharpness)]
    q, k = draw.normal(2, 4, 3), draw.normal(2, 4, 3)
    for seen in (torch.eye(4), torch.ones(4, 4).tril()):  # itself alone; what came before
        cases.append((q, k, seen.log(), 1.0))

    def of(weights):
        return _entropy(weights).exp()

    compare(
        effective_positions,
        lambda q, k, b, s: of(_weights(q, k, b, s)),
        cases,
        [
            (
                "That is the entropy; exp turns it into a number of positions.",
                lambda *a: _entropy(_weights(*a)),
            ),
            (
                "The scores are not divided by sqrt(d).",
                lambda q, k, b, s: of(_weights(q, k, b, s, 0)),
            ),
            (
                "You divide by d; it must be sqrt(d).",
                lambda q, k, b, s: of(_weights(q, k, b, s, 1)),
            ),
            (
                "Only Q K^T is made sharper; E_pos is added as it is.",
                lambda q, k, b, s: of((s * (q @ k.mT / q.shape[-1] ** 0.5 + b)).softmax(-1)),
            ),
            (
                "sharpness multiplies the scores; you divide by it.",
                lambda q, k, b, s: of(_weights(q, k, b, 1 / s if s else 0)),
            ),
            ("sharpness is not used.", lambda q, k, b, s: of(_weights(q, k, b, 1))),
            ("E_pos is missing.", lambda q, k, b, s: of(_weights(q, k, 0 * b.clamp(-9, 9), s))),
            (
                "The softmax runs over the queries; rows must sum to 1.",
                lambda q, k, b, s: of(
                    (s * (q @ k.mT) / q.shape[-1] ** 0.5 + b).softmax(-2).transpose(-1, -2)
                ),
            ),
            (
                "Q and K are exchanged: row i holds the scores of QUERY i.",
                lambda q, k, b, s: of(_weights(k, q, b, s)),
            ),
            (
                "0 * log(0) is NaN; a weight of 0 adds nothing to the entropy "
                "(torch.special.xlogy).",
                lambda *a: (-(_weights(*a) * _weights(*a).log()).sum(-1)).exp(),
            ),
            (
                "One number for each query, not their mean.",
                lambda *a: of(_weights(*a)).mean(-1),
            ),
            (
                "Entropy uses the natural logarithm, and exp undoes it.",
                lambda *a: (_entropy(_weights(*a)) / 2**0.5 * 2**0.5 / 0.6931472).exp(),
            ),
            (
                "The sign: entropy is MINUS the sum of p ln p.",
                lambda *a: (-_entropy(_weights(*a))).exp(),
            ),
        ],
        describe=lambda q, k, b, s: (
            f"{q.shape[0]} images, {q.shape[1]} positions, d = {q.shape[2]}, sharpness {s:g}"
        ),
        form="a (B, N) tensor",
        hint="softmax(sharpness * Q K^T / sqrt(d) + E_pos) over the keys; the entropy of each row "
        "is -sum p ln p, and the answer its exp.",
        tolerance=1e-4,
    )


def _distance_table(grid, slope, metric=lambda y, x: (y**2 + x**2) ** 0.5):
    h, w = grid
    y = torch.arange(-(h - 1), h)[:, None].float()
    x = torch.arange(-(w - 1), w)[None].float()
    return (-slope * metric(y, x)).flatten()


@exercise("Exercise 6.2", points=2)
def check_distance_table(distance_table):
    """Tables of square, oblong, one-row and one-column grids, and several slopes."""
    cases = [((2, 2), 1.0), ((3, 3), 0.5), ((2, 4), 2.0), ((5, 2), 1.0), ((1, 4), 1.0), ((3, 1), 0)]
    cases += [(tuple(draw.integers(2, 2, 7)), draw.integer(1, 30) / 10) for _ in range(3)]
    compare(
        distance_table,
        _distance_table,
        cases,
        [
            (
                "The sign: the further away, the LOWER the score.",
                lambda g, s: -_distance_table(g, s),
            ),
            (
                "The straight distance is sqrt(dy^2 + dx^2); yours is |dy| + |dx|.",
                lambda g, s: _distance_table(g, s, lambda y, x: y.abs() + x.abs()),
            ),
            (
                "The straight distance is sqrt(dy^2 + dx^2); yours is the larger of |dy|, |dx|.",
                lambda g, s: _distance_table(g, s, lambda y, x: torch.maximum(y.abs(), x.abs())),
            ),
            (
                "That is the square of the distance; take the root.",
                lambda g, s: _distance_table(g, s, lambda y, x: y**2 + x**2),
            ),
            (
                "Rows and columns are exchanged: one row of the table holds all dx of one dy.",
                lambda g, s: _distance_table(g[::-1], s),
            ),
            (
                "The table starts at the offset -(h - 1), -(w - 1); the middle entry is offset 0.",
                lambda g, s: (
                    -s
                    * torch.cartesian_prod(
                        torch.arange(2 * g[0] - 1.0), torch.arange(2 * g[1] - 1.0)
                    )
                    .reshape(-1, 2)
                    .norm(dim=1)
                ),
            ),
            (
                "These are the h * w offsets from one corner; the table has (2h - 1)(2w - 1).",
                lambda g, s: (
                    -s
                    * torch.cartesian_prod(torch.arange(0.0, g[0]), torch.arange(0.0, g[1])).norm(
                        dim=1
                    )
                ),
            ),
            (
                "One row of numbers, as in relative_position_index; not a grid.",
                lambda g, s: _distance_table(g, s).view(2 * g[0] - 1, 2 * g[1] - 1),
            ),
            ("The slope is missing.", lambda g, s: _distance_table(g, 1)),
        ],
        describe=lambda g, s: f"grid of {g[0]} x {g[1]}, slope {s}",
        form="(2h - 1)(2w - 1) numbers in one row",
        hint="Entry (dy + h - 1) * (2w - 1) + dx + w - 1 belongs to the offset (dy, dx); it is "
        "-slope * sqrt(dy^2 + dx^2).",
    )


def _split(t, heads):
    return t.unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, N, d)


def _without_head(q, k, v, heads, off, scale=None, mixed=False, joined=True):
    b, n, c = q.shape
    if mixed:
        q, k, v = (t.reshape(b, heads, n, c // heads) for t in (q, k, v))
    else:
        q, k, v = (_split(t, heads) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, scale=scale).clone()
    if off is not None:
        out[:, off] = 0
    return out.transpose(1, 2).reshape(b, n, c) if joined else out.reshape(b, n, c)


def _keys_off(q, k, v, heads, off):
    """The head's scores are zero, so that it averages all values."""
    k = k.clone()
    d = k.shape[2] // heads
    k[:, :, off * d : (off + 1) * d] = 0
    return _without_head(q, k, v, heads, None)


@exercise("Exercise 6.3", points=2)
def check_without_head(without_head):
    """Several heads, each of them switched off; the ways of splitting channels wrongly."""
    cases = []
    for batch, n, channels, heads in ((2, 6, 8, 2), (1, 5, 12, 3), (3, 4, 8, 4), (2, 3, 4, 1)):
        q, k, v = (draw.normal(batch, n, channels) for _ in range(3))
        cases += [(q, k, v, heads, off) for off in {0, heads - 1, draw.integer(0, heads - 1)}]
    compare(
        without_head,
        _without_head,
        cases,
        [
            (
                "No head is switched off.",
                lambda q, k, v, h, off: _without_head(q, k, v, h, None),
            ),
            (
                "That is one head: the channels are not split.",
                lambda q, k, v, h, off: F.scaled_dot_product_attention(q, k, v),
            ),
            (
                "d is the width of one head, C / heads, not of all.",
                lambda q, k, v, h, off: _without_head(q, k, v, h, off, scale=q.shape[2] ** -0.5),
            ),
            (
                "The scores are not divided by sqrt(d).",
                lambda q, k, v, h, off: _without_head(q, k, v, h, off, scale=1.0),
            ),
            (
                "Bring the heads back next to their channels before you join them: transpose, "
                "then flatten.",
                lambda *a: _without_head(*a, joined=False),
            ),
            (
                "reshape(B, heads, N, d) mixes positions; split the channels first, then "
                "transpose.",
                lambda *a: _without_head(*a, mixed=True),
            ),
            (
                "reshape(B, heads, N, d) mixes positions, and the heads must come back by "
                "transpose.",
                lambda *a: _without_head(*a, mixed=True, joined=False),
            ),
            (
                "Heads count from 0, and head `off` holds the channels off * d to (off + 1) * d.",
                lambda q, k, v, h, off: _without_head(q, k, v, h, off - 1),
            ),
            (
                "The head next to it is switched off; heads count from 0.",
                lambda q, k, v, h, off: _without_head(q, k, v, h, (off + 1) % h),
            ),
            (
                "Zeroed keys make the head average all values; its OUTPUT must be 0.",
                _keys_off,
            ),
            (
                "The other heads must stay as they were; do not rescale them.",
                lambda q, k, v, h, off: (
                    _without_head(q, k, v, h, off) * (h / (h - 1) if h > 1 else 1)
                ),
            ),
            (
                "The others are switched off; switch off this one alone.",
                lambda q, k, v, h, off: (
                    _without_head(q, k, v, h, None) - _without_head(q, k, v, h, off)
                ),
            ),
            (
                "The head is dropped; its channels must stay, as zeros.",
                lambda q, k, v, h, off: (
                    _split(_without_head(q, k, v, h, None), h)[:, [i for i in range(h) if i != off]]
                    .transpose(1, 2)
                    .flatten(2)
                ),
            ),
        ],
        describe=lambda q, k, v, h, off: (
            f"{q.shape[1]} positions, {q.shape[2]} channels, {h} heads, head {off} off"
        ),
        form="a (B, N, C) tensor",
        hint="Split the channels into heads, attend in each with d = C / heads, set the output of "
        "head `off` to 0, put the parts side by side again.",
    )


# ---- notebook 07 ----


def _mlp(squeezed, w1, w2):
    return F.relu(squeezed @ w1.T) @ w2.T


def _mean(x):
    return x.mean((2, 3))


def _peak(x):
    return x.amax((2, 3))


@exercise("Exercise 7.1", answer="channel_weights_of")
def check_channel_weights(channel_weights):
    """s from mean and maximum, for several maps, and the mistakes that still give numbers in
    (0, 1).
    """
    cases = []
    for batch, channels, hidden, height, width in (
        (2, 6, 3, 3, 4),
        (3, 4, 2, 5, 2),
        (1, 8, 2, 1, 6),
    ):
        x = draw.normal(batch, channels, height, width) + draw.normal(batch, channels, 1, 1)
        cases.append((x, draw.normal(hidden, channels) / 2, draw.normal(channels, hidden) / 2))
        cases.append((-x.abs(), *cases[-1][1:]))
    compare(
        channel_weights,
        lambda x, a, b: (_mlp(_mean(x), a, b) + _mlp(_peak(x), a, b)).sigmoid(),
        cases,
        [
            (
                "Only the mean is squeezed; the maximum goes through W1 and W2 as well.",
                lambda x, a, b: _mlp(_mean(x), a, b).sigmoid(),
            ),
            (
                "Only the maximum is squeezed; the mean goes through W1 and W2 as well.",
                lambda x, a, b: _mlp(_peak(x), a, b).sigmoid(),
            ),
            (
                "Mean and maximum are added before W1; the relu between W1 and W2 must see them "
                "one by one.",
                lambda x, a, b: _mlp(_mean(x) + _peak(x), a, b).sigmoid(),
            ),
            (
                "Add what comes out of W2, then take ONE sigmoid.",
                lambda x, a, b: _mlp(_mean(x), a, b).sigmoid() + _mlp(_peak(x), a, b).sigmoid(),
            ),
            (
                "Add what comes out of W2 and take one sigmoid; no mean of two sigmoids.",
                lambda x, a, b: (
                    (_mlp(_mean(x), a, b).sigmoid() + _mlp(_peak(x), a, b).sigmoid()) / 2
                ),
            ),
            (
                "The two are added, not averaged.",
                lambda x, a, b: ((_mlp(_mean(x), a, b) + _mlp(_peak(x), a, b)) / 2).sigmoid(),
            ),
            (
                "The two are added, not multiplied.",
                lambda x, a, b: (_mlp(_mean(x), a, b) * _mlp(_peak(x), a, b)).sigmoid(),
            ),
            (
                "Softmax lets channels compete; SE uses a sigmoid for each.",
                lambda x, a, b: (_mlp(_mean(x), a, b) + _mlp(_peak(x), a, b)).softmax(1),
            ),
            (
                "The relu between W1 and W2 is missing.",
                lambda x, a, b: ((_mean(x) + _peak(x)) @ a.T @ b.T).sigmoid(),
            ),
            (
                "The relu stands between W1 and W2 only.",
                lambda x, a, b: (
                    F.relu(_mlp(_mean(x), a, b)) + F.relu(_mlp(_peak(x), a, b))
                ).sigmoid(),
            ),
            (
                "Squeeze with the mean over positions, not the sum.",
                lambda x, a, b: (_mlp(x.sum((2, 3)), a, b) + _mlp(_peak(x), a, b)).sigmoid(),
            ),
            (
                "The maximum is of the numbers, not of their sizes: no abs.",
                lambda x, a, b: (_mlp(_mean(x), a, b) + _mlp(x.abs().amax((2, 3)), a, b)).sigmoid(),
            ),
            (
                "The sigmoid is missing.",
                lambda x, a, b: _mlp(_mean(x), a, b) + _mlp(_peak(x), a, b),
            ),
            (
                "Return the weights s, one for each channel; not the scaled map.",
                lambda x, a, b: (
                    x * (_mlp(_mean(x), a, b) + _mlp(_peak(x), a, b)).sigmoid()[:, :, None, None]
                ),
            ),
        ],
        describe=lambda x, a, b: f"channel weights of maps {tuple(x.shape)}",
        form="a (B, C) tensor",
        hint="Squeeze each channel to its mean and, a second time, to its maximum; send both "
        "through W1, relu and W2; add; then the sigmoid.",
    )


def _divisors(channels):
    return [r for r in range(1, channels + 1) if channels % r == 0]


def _reduction(channels, budget, cost=lambda c, r: 2 * c * (c // r), best=min, strict=False):
    good = [
        r
        for r in _divisors(channels)
        if (cost(channels, r) < budget if strict else cost(channels, r) <= budget)
    ]
    return best(good) if good else 0


@exercise("Exercise 7.2")
def check_smallest_reduction(smallest_reduction):
    """Budgets that are met exactly, nearly, easily and not at all."""
    cases = [
        (1024, 131072),
        (1024, 131071),
        (64, 8192),
        (64, 8191),
        (64, 8224),
        (64, 128),
        (64, 127),
        (12, 96),
        *((12, 95), (12, 71), (7, 14), (7, 97), (7, 13), (1, 2), (1, 1)),
    ]
    for _ in range(4):
        channels = draw.choice([24, 36, 48, 60, 90])
        cases.append((channels, draw.integer(channels, 2 * channels**2)))

    compare(
        smallest_reduction,
        _reduction,
        cases,
        [
            (
                "That is the LARGEST reduction; the smallest keeps the most of the module.",
                lambda c, b: _reduction(c, b, best=max),
            ),
            (
                "A module that costs exactly the budget is allowed: <=.",
                lambda c, b: _reduction(c, b, strict=True),
            ),
            (
                "There are two matrices: one down to C / r, one back up.",
                lambda c, b: _reduction(c, b, lambda c, r: c * (c // r)),
            ),
            (
                "The paper's equation has no biases.",
                lambda c, b: _reduction(c, b, lambda c, r: 2 * c * (c // r) + c + c // r),
            ),
            (
                "r must divide the channels.",
                lambda c, b: next((r for r in range(1, c + 1) if 2 * c * c / r <= b), 0),
            ),
            (
                "r must divide the channels; C // r would cut some off.",
                lambda c, b: next((r for r in range(1, c + 1) if 2 * c * (c // r) <= b), 0),
            ),
            (
                "Any divisor of C may be taken, not only powers of 2.",
                lambda c, b: next(
                    (r for r in _divisors(c) if r & (r - 1) == 0 and 2 * c * (c // r) <= b), 0
                ),
            ),
            (
                "r = 1 is allowed: nothing is reduced.",
                lambda c, b: next((r for r in _divisors(c)[1:] if 2 * c * (c // r) <= b), 0),
            ),
            (
                "If even r = C costs too much, return 0.",
                lambda c, b: _reduction(c, b) or c,
            ),
            (
                "That is the number of weights; return r.",
                lambda c, b: 2 * c * (c // _reduction(c, b)) if _reduction(c, b) else 0,
            ),
        ],
        describe=lambda c, b: f"C = {c}, at most {b} weights",
        form="an integer",
        hint="One module has 2 * C * (C / r) weights; go through the divisors of C from 1 upwards.",
        integers=True,
    )


@exercise("Exercise 7.3")
def check_scale_map(scale_map):
    """x * s; one of the maps has 4 images, 4 channels and 4 x 4 positions, where any broadcasting
    goes unnoticed.
    """
    cases = [
        (draw.normal(b, c, h, w), draw.uniform(b, c))
        for b, c, h, w in ((4, 4, 4, 4), (2, 3, 5, 4), (1, 2, 3, 3), (3, 5, 1, 2))
    ]
    compare(
        scale_map,
        lambda x, s: x * s[:, :, None, None],
        cases,
        [
            (
                "s was spread along the columns; give it the shape (B, C, 1, 1).",
                lambda x, s: x * s[:, None, None, :],
            ),
            (
                "s was spread along the rows; give it the shape (B, C, 1, 1).",
                lambda x, s: x * s[:, None, :, None],
            ),
            (
                "(B, C) meets (H, W) here, rows and columns; give s the shape (B, C, 1, 1).",
                lambda x, s: x * s,
            ),
            (
                "Images and channels are exchanged: s has the shape (B, C).",
                lambda x, s: x * s.T[:, :, None, None],
            ),
            ("Every image has its own s.", lambda x, s: x * s[0][None, :, None, None]),
            (
                "Every channel has its own weight; no mean over s.",
                lambda x, s: x * s.mean(1)[:, None, None, None],
            ),
            (
                "No residual here: the map is scaled.",
                lambda x, s: x + x * s[:, :, None, None],
            ),
            ("The map is multiplied, not added to.", lambda x, s: x + s[:, :, None, None]),
            (
                "The weights are used as they are; no second sigmoid.",
                lambda x, s: x * s.sigmoid()[:, :, None, None],
            ),
        ],
        describe=lambda x, s: f"a map {tuple(x.shape)} and weights {tuple(s.shape)}",
        form="a tensor of the map's shape",
        hint="One weight for each image and channel, the same at all positions.",
        tolerance=1e-6,
    )
