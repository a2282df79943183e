"""Checks of notebook 12: a weighted merge, boxes of a padded view in original pixels, the surer of
two looks.
"""

import torch

from .cases import compare, draw
from .core import exercise


def _probabilities(draw, batch, classes, sharpness=2.0):
    return (draw.normal(batch, classes) * sharpness).softmax(dim=1)


def _weighted(looks, weights):
    return sum(w * p for w, p in zip(weights, looks))


@exercise("Exercise 12.1")
def check_merge_many(merge_many):
    """One to four looks, weights that sum to 1 and weights that don't, zeros among them."""
    lists = [[0.5, 0.5], [1.0, 3.0], [2, 1, 1], [0.0, 5.0], [0.2], [7], [0.25, 0.5, 0.125]]
    lists += [[draw.integer(1, 9) / 2 for _ in range(4)]]
    cases = []
    for weights in lists:
        batch, classes = draw.integer(1, 5), draw.integer(2, 7)
        cases.append(([_probabilities(draw, batch, classes) for _ in weights], weights))
    compare(
        merge_many,
        lambda p, w: _weighted(p, w) / sum(w),
        cases,
        [
            (
                "Divide by the sum of the weights, so that rows sum to 1.",
                _weighted,
            ),
            ("The weights are not used.", lambda p, w: torch.stack(p).mean(dim=0)),
            (
                "These are probabilities already; a second softmax flattens them.",
                lambda p, w: (_weighted(p, w) / sum(w)).softmax(dim=1),
            ),
            (
                "These are probabilities already, and a softmax is no division by the weights.",
                lambda p, w: _weighted(p, w).softmax(dim=1),
            ),
            (
                "Divide by the sum of the weights, not by their number.",
                lambda p, w: _weighted(p, w) / len(w),
            ),
            (
                "The weights are exchanged: the first belongs to the first look.",
                lambda p, w: _weighted(p, w[::-1]) / sum(w),
            ),
            (
                "A softmax over the weights changes their ratio; divide them by their sum.",
                lambda p, w: _weighted(p, torch.tensor(w).float().softmax(0)),
            ),
            (
                "There may be more than two looks.",
                lambda p, w: _weighted(p[:2], w[:2]) / sum(w[:2]),
            ),
            (
                "That is the weighted geometric mean; the mean of the probabilities is asked for.",
                lambda p, w: _weighted([x.log() for x in p], [v / sum(w) for v in w]).softmax(1),
            ),
            (
                "Return probabilities of all classes, not the winner.",
                lambda p, w: _weighted(p, w).argmax(1),
            ),
        ],
        describe=lambda p, w: f"{len(p)} looks of {tuple(p[0].shape)} with weights {w}",
        form="a (B, K) tensor",
        hint="Multiply each look by its weight, add up, divide by the sum of the weights.",
    )


def _out_of_the_view(boxes, scale, offset):
    return (boxes - offset) / scale


def _from_padded_view(
    boxes, view, sizes, fit=torch.minimum, pad=0.5, clip=True, move=_out_of_the_view
):
    sizes = sizes.to(boxes.dtype)
    height, width = view
    scale = fit(width / sizes[:, 0], height / sizes[:, 1])[:, None]  # (B, 1)
    free = torch.tensor([width, height]) - sizes * scale  # (B, 2)
    out = move(boxes, scale, (pad * free).repeat(1, 2))
    limit = sizes.repeat(1, 2)
    return torch.minimum(out.clamp(min=0), limit) if clip else out


def _stretched(boxes, view, sizes):
    scale = sizes / torch.tensor([view[1], view[0]])
    return torch.minimum((boxes * scale.repeat(1, 2)).clamp(min=0), sizes.repeat(1, 2))


@exercise("Exercise 12.2")
def check_from_padded_view(from_padded_view):
    """Wide, tall and square originals, larger and smaller than views of several shapes; boxes that
    reach into the padding.
    """
    cases = []
    for view in ((224, 224), (96, 160), (160, 96), (100, 100)):
        sizes = [[500, 333], [120, 480], [256, 256], [40, 30], draw.integers(2, 30, 600)]
        sizes = torch.tensor(draw.shuffled(sizes)[: draw.integer(3, 5)])
        x = (draw.uniform(len(sizes), 2) * view[1]).sort(1).values
        y = (draw.uniform(len(sizes), 2) * view[0]).sort(1).values
        cases.append((torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], 1), view, sizes))
        whole = torch.tensor([0.0, 0, view[1], view[0]]).repeat(len(sizes), 1)
        cases.append((whole, view, sizes))
        inside = whole * 0.1 + whole.flip(1)[:, [1, 0, 1, 0]] * 0.4  # near the middle
        cases.append((inside, view, sizes))

    compare(
        from_padded_view,
        _from_padded_view,
        cases,
        [
            (
                "That undoes a stretch; here both sides were scaled by ONE factor, and the rest is "
                "padding.",
                _stretched,
            ),
            (
                "The padding is not subtracted: the picture begins at the offset.",
                lambda b, v, s: _from_padded_view(b, v, s, pad=0),
            ),
            (
                "Half of the free room lies on each side; you subtract all of it.",
                lambda b, v, s: _from_padded_view(b, v, s, pad=1),
            ),
            (
                "The offset is in pixels of the view: subtract it before you divide by the scale.",
                lambda b, v, s: _from_padded_view(b, v, s, move=lambda b, f, o: b / f - o),
            ),
            (
                "The picture fits INTO the view: the smaller of the two scales.",
                lambda b, v, s: _from_padded_view(b, v, s, fit=torch.maximum),
            ),
            (
                "A box may reach into the padding: clip it to the original.",
                lambda b, v, s: _from_padded_view(b, v, s, clip=False),
            ),
            (
                "sizes holds WIDTH and height; x goes with the width.",
                lambda b, v, s: _from_padded_view(b, v, s.flip(1)),
            ),
            (
                "view is (HEIGHT, width), as in tensors; x goes with the width.",
                lambda b, v, s: _from_padded_view(b, v[::-1], s),
            ),
            (
                "Every image has a scale and an offset of its own.",
                lambda b, v, s: _from_padded_view(b, v, s[:1].expand_as(s)),
            ),
            (
                "Boxes are clipped at 0 only; they end at width and height of the original.",
                lambda b, v, s: _from_padded_view(b, v, s, clip=False).clamp(min=0),
            ),
            (
                "Boxes are clipped at the far sides only; they begin at 0.",
                lambda b, v, s: torch.minimum(
                    _from_padded_view(b, v, s, clip=False), s.repeat(1, 2).float()
                ),
            ),
            (
                "The other way round: from the view to the original, divide by the scale.",
                lambda b, v, s: _from_padded_view(b, v, s, move=lambda b, f, o: b * f + o),
            ),
            (
                "Pictures smaller than the view were enlarged: the scale may exceed 1.",
                lambda b, v, s: _from_padded_view(
                    b, v, s, fit=lambda x, y: torch.minimum(x, y).clamp(max=1)
                ),
            ),
        ],
        describe=lambda b, v, s: (
            f"{len(b)} boxes of a view of {v[0]} x {v[1]} (height x width), originals "
            f"{s.tolist()} (width, height)"
        ),
        form="a (B, 4) tensor",
        hint="scale = the smaller of view width / width and view height / height; subtract half of "
        "the free room along each side, divide by the scale, clip to the original.",
        tolerance=1e-4,
    )


def _entropy(p):
    return -torch.special.xlogy(p, p).sum(dim=1, keepdim=True)


def _surer(first, second, measure=_entropy, margin=1e-6):
    return torch.where(measure(second) < measure(first) - margin, second, first)


@exercise("Exercise 12.3", answer="follow_the_surer", points=2)
def check_follow(follow_the_surer):
    """Rows where entropy and largest probability disagree, exact zeros, ties, and random rows."""
    first = torch.tensor(
        [
            [0.60, 0.39, 0.01],
            [0.50, 0.25, 0.25],
            [1.00, 0.00, 0.00],
            [0.34, 0.33, 0.33],
            [0.25, 0.50, 0.25],
            [0.00, 0.50, 0.50],
            [0.50, 0.45, 0.05],
        ]
    )
    second = torch.tensor(
        [
            [0.62, 0.19, 0.19],
            [0.90, 0.05, 0.05],
            [0.50, 0.50, 0.00],
            [0.00, 1.00, 0.00],
            [0.50, 0.25, 0.25],
            [0.50, 0.00, 0.50],
            [0.48, 0.26, 0.26],
        ]
    )
    order = torch.tensor(draw.shuffled(list(range(len(first)))))
    cases = [(first[order], second[order]), (second[order], first[order])]
    for size in ((1, 4), (8, 2), (9, 10)):
        cases.append((_probabilities(draw, *size), _probabilities(draw, *size)))

    def nan_entropy(p):
        return -(p * p.log()).sum(1, keepdim=True)

    compare(
        follow_the_surer,
        _surer,
        cases,
        [
            (
                "This compares the largest probabilities. Entropy looks at all of them.",
                lambda a, b: _surer(a, b, lambda p: -p.amax(1, keepdim=True)),
            ),
            (
                "This compares how far the first place is ahead. Entropy looks at all of them.",
                lambda a, b: _surer(a, b, lambda p: p.topk(2).values.diff()),
            ),
            (
                "The SMALLER entropy is the surer one. Mind the minus sign.",
                lambda a, b: _surer(a, b, lambda p: -_entropy(p)),
            ),
            (
                "0 * log(0) is NaN; a probability of 0 adds nothing (torch.special.xlogy, or clamp "
                "before the log).",
                lambda a, b: torch.where(nan_entropy(b) < nan_entropy(a), b, a),
            ),
            (
                "0 * log(0) is NaN, and NaN is never smaller; a probability of 0 adds nothing "
                "(torch.special.xlogy, or clamp before the log).",
                lambda a, b: torch.where(nan_entropy(a) <= nan_entropy(b), a, b),
            ),
            (
                "Where both are equally sure, take the first look.",
                lambda a, b: _surer(b, a),
            ),
            (
                "Decide for each picture (row) on its own, not for all together.",
                lambda a, b: b if _entropy(b).sum() < _entropy(a).sum() else a,
            ),
            ("This is always the first look.", lambda a, b: a),
            ("This is always the second look.", lambda a, b: b),
            ("This is the mean; one of the two must be taken, as it is.", lambda a, b: (a + b) / 2),
            (
                "Return the probabilities of the surer look, not its class.",
                lambda a, b: _surer(a, b).argmax(1),
            ),
            (
                "Choose by the sum over classes of each picture; a choice for each class mixes the "
                "two looks.",
                lambda a, b: torch.where(
                    torch.special.xlogy(b, b) > torch.special.xlogy(a, a), b, a
                ),
            ),
            (
                "ln p alone is no entropy: weight it by p.",
                lambda a, b: _surer(a, b, lambda p: -p.clamp(min=1e-9).log().sum(1, keepdim=True)),
            ),
        ],
        describe=lambda a, b: f"{a.shape[0]} pictures, {a.shape[1]} classes",
        form="a (B, K) tensor",
        hint="For each row, -sum p ln p of both looks, with 0 for p = 0; take the row with the "
        "smaller one, and that of the first look where they are equal.",
        tolerance=1e-6,
    )
