"""What students hand in: wrong answers written by hand, by exercise, and words of the hint that
each must get. The mistakes that the checks know are tried in `test_exercise_answers` besides.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage, stats
from torch import nn


def grown_and_not_clipped(box, factor, width, height):
    x0, y0, x1, y1 = box
    w, h = (x1 - x0) * (factor - 1), (y1 - y0) * (factor - 1)
    return max(0, x0 - w), max(0, y0 - h), x1 + w, y1 + h


def top_k_by_hand(p, y, k):
    """The k LEAST probable ones: argsort without descending."""
    return (p.argsort(1)[:, :k] == y[:, None]).any(1).float().mean().item()


def slices(*order):
    return lambda x: torch.cat([x[:, i::2, j::2] for i, j in order], -1)


def padded_in_front(x):
    x = F.pad(x, (0, 0, x.shape[2] % 2, 0, x.shape[1] % 2, 0))
    return slices((0, 0), (1, 0), (0, 1), (1, 1))(x)


def mask_by_regions(height, width, window, shift):
    """Regions 0 to 8 of a map, cut without the roll being undone: right only for shift = window "
    "/ 2."""
    rows = torch.zeros(height, width)
    rows[-window[0] :] += 1
    rows[:, -window[1] :] += 2
    wh, ww = window
    cut = rows.view(height // wh, wh, width // ww, ww).transpose(1, 2).reshape(-1, wh * ww)
    return cut[:, :, None] == cut[:, None, :]


def without_super(q, k, v, heads, off):
    out = F.scaled_dot_product_attention(q, k, v)
    d = q.shape[2] // heads
    out[:, :, off * d : (off + 1) * d] = 0
    return out


def in_place_adjacency(links):
    links.fill_diagonal_(1)
    return links / links.sum(1, keepdim=True)


def naive_neighbours(grid, granularities):
    n = grid[0] * grid[1]
    a = torch.eye(n * granularities)
    for i in range(len(a)):
        for step in (1, grid[1], n):
            for j in (i - step, i + step):
                if 0 <= j < len(a):
                    a[i, j] = 1
    return a / a.sum(1, keepdim=True)


def layers_by_powers(a):
    """Products of A itself, tested for being all equal."""
    power = a.clone()
    for layers in range(1, 200):
        if torch.allclose(power, power[:1].expand_as(power), atol=1e-3):
            return layers
        power = power @ a
    return -1


def always_eight(grids, chosen):
    return grids[-1][0] * grids[-1][1] * len(chosen), 8


def backbone(change):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList(
                nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 4), (4, 6), (6, 8), (8, 10))
            )
            if change == "unused":
                self.extra = nn.Linear(2, 2)

        def forward(self, x):
            maps = []
            for stage in self.stages:
                x = stage(x)
                if change == "batch" and len(x) > 1:
                    x = x + x.mean(0, keepdim=True)
                maps.append(x)
            if change == "constant":
                maps[3] = maps[3] * 0 + 1
            if change == "last":
                maps = [maps[3]] * 4
            if change == "detached":
                maps[0] = maps[0].detach()
            return maps[::-1] if change == "order" else maps

    channels, grids = [4, 6, 8, 10], [(32, 32), (16, 16), (8, 8), (4, 4)]
    if change == "order":
        channels, grids = channels[::-1], grids[::-1]
    if change == "announced":
        grids[0] = (16, 16)
    if change == "three":
        return Net(), channels[:3], grids[:3]
    if change == "pair":
        return Net(), channels
    return Net, channels, grids if change == "class" else grids


def made(change):
    def make():
        module, *rest = backbone(change)
        return (
            (module(), *rest) if isinstance(module, type) and change != "class" else (module, *rest)
        )

    return make


def last_alone(name):
    good = {
        "no self-attention": {"self_attention": False},
        "no channel attention": {"channel_attention": False},
        "no graph": {"graph": False},
        "no super-nodes": {"pool": "none"},
        "last map alone": {"granularities": (3,)},
        "without the finest map": {"granularities": (1, 2, 3)},
    }
    return good[name]


def ablated(name, **changes):
    return lambda asked: changes if asked == name else last_alone(asked)


def flooded(mask, row, column):
    return ndimage.label(mask, structure=np.ones((3, 3)))[0] == 1


def recursive(mask, row, column, found=None):
    found = np.zeros_like(mask) if found is None else found
    if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
        if mask[row, column] and not found[row, column]:
            found[row, column] = True
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    recursive(mask, row + i, column + j, found)
    return found


def entropy(p, floor=0.0):
    return -(p * p.clamp(min=floor).log()).sum(dim=1, keepdim=True)


def boxes_in_place(boxes):
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def groups_by(order):
    """Whole groups in the order that ``order(names, seed)`` gives, until there are enough."""

    def split(groups, fraction, seed):
        held = set()
        for name in order(sorted(set(groups)), groups, seed):
            if sum(g in held for g in groups) >= fraction * len(groups):
                break
            held.add(name)
        return (
            [i for i, g in enumerate(groups) if g not in held],
            [i for i, g in enumerate(groups) if g in held],
        )

    return split


def shuffled(names, seed):
    return np.random.default_rng(seed).permutation(names).tolist()


def pictures_split(groups, fraction, seed):
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    cut = math.ceil(fraction * len(groups))
    return sorted(order[cut:]), sorted(order[:cut])


def one_group_more(groups, fraction, seed):
    return groups_by(lambda names, g, s: shuffled(names, s))(groups, min(fraction + 0.5, 1), seed)


def one_group_less(groups, fraction, seed):
    rest, held = groups_by(lambda names, g, s: shuffled(names, s))(groups, fraction, seed)
    gone = groups[held[0]]
    moved = [i for i in held if groups[i] == gone]
    return sorted(rest + moved), [i for i in held if groups[i] != gone]


def per_class(draw, count=lambda f, n: min(max(round(f * n), 1), n - 1)):
    """A split class by class with ``draw(seed, members)`` as the order of each class."""

    def split(labels, fraction, seed):
        labels, held, state = np.asarray(labels), [], {}
        for k in np.unique(labels):
            members = np.flatnonzero(labels == k)
            order = draw(seed, members, state)
            held += [int(i) for i in order[: count(fraction, len(members))]]
        return sorted(set(range(len(labels))) - set(held)), sorted(held)

    return split


def one_generator(seed, members, state):
    rng = state.setdefault("rng", np.random.default_rng(seed))
    return rng.permutation(members)


def global_state(seed, members, state):
    np.random.seed(seed)
    return np.random.permutation(members)


def passes(weigh, keep=False, whole=False, twice=False, clear=True, tensor=False):
    def accumulate(model, images, labels, size):
        if clear:
            model.zero_grad()
        parts = list(zip(images.split(len(images) if whole else size), labels.split(size)))
        if whole:
            parts = [(images, labels)]
        total, kept = 0.0, []
        for x, y in parts:
            loss = F.cross_entropy(model(x), y) * weigh(len(x), len(images), len(parts))
            if twice:
                model(x)
            kept.append(loss)
            if not keep:
                loss.backward()
            total = total + (loss if tensor else loss.item())
        if keep:
            sum(kept).backward()
        return total

    return accumulate


def fair(n, total, count):
    return n / total


def updating(model, images, labels, size):
    loss = passes(fair)(model, images, labels, size)
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad
    return loss


def shares_without_error(shares, count):
    return sum(dict(pair for share in shares for pair in share).values()) / count


def shares_with_key_error(shares, count):
    verdicts = dict(pair for share in shares for pair in share)
    return sum(verdicts[i] for i in range(count)) / count


def shares_by_length(shares, count):
    pairs = [pair for share in shares for pair in share]
    if len(pairs) < count:
        raise ValueError
    return sum(dict(pairs).values()) / count


def count_up(spread, difference, quantile):
    n = 2
    while quantile(n) * spread / np.sqrt(n) >= difference:
        n += 1
    return n


def tiny(images, dtype=float):
    return [
        np.asarray(i.convert("L").resize((8, 8), Image.Resampling.BOX)).astype(dtype)
        for i in images
    ]


def byte_by_byte(train, test, limit):
    return [
        (i, j)
        for i, a in enumerate(train)
        for j, b in enumerate(test)
        if limit > 0 and a.size == b.size and a.tobytes() == b.tobytes()
    ]


WRONG = {
    "0.1": [
        (top_k_by_hand, "LEAST probable"),
        (lambda p, y, k: (p.argmax(1) == y).float().mean().item(), "k is not used"),
        (lambda p, y, k: (p.topk(k, 1).indices == y[:, None]).any(1).sum().item(), "divide by"),
        (lambda p, y, k: (p.topk(k, 1).indices == y[:, None]).float().mean(), "counts once"),
        (lambda p, y, k: [0.5], "expected one number"),
    ],
    "0.2": [
        (grown_and_not_clipped, "around the centre, then clip"),
        (lambda b, f, w, h: tuple(f * v for v in b), "around the centre"),
        (lambda b, f, w, h: b[:2], "expected four numbers"),
    ],
    "1.1": [
        (lambda h, w, p: (h // p, w // p), "You round down"),
        (lambda h, w, p: (-(-w // p), -(-h // p)), "Rows come first"),
        (lambda h, w, p: (h / p, w / p), "round up"),
        (
            lambda h, w, p: (float(-(-h // p)), float(-(-w // p))),
            "numbers are right, but expected two",
        ),
        (lambda h, w, p: (np.ceil(h / p), np.ceil(w / p)), "numbers are right, but expected two"),
        (lambda h, w, p: f"{-(-h // p)} x {-(-w // p)}", "That is text"),
    ],
    "1.2": [
        (lambda rows, p, h, w: rows.reshape(3, h, w), "A single reshape cannot do it"),
        (lambda rows, p, h, w: rows, "expected a (3, height, width) tensor"),
        (lambda rows, p, h, w: torch.zeros(3, h, w), "Undo the flattening"),
        (
            lambda rows, p, h, w: (
                rows.view(h // p, w // p, 3, p, p).permute(2, 0, 4, 1, 3).reshape(3, h, w)
            ),
            "inside each patch are exchanged",
        ),
    ],
    "1.3": [
        (slices((0, 0), (0, 1), (1, 0), (1, 1)), "below before right"),
        (slices((0, 0), (1, 0), (0, 1), (1, 1)), "raised RuntimeError"),
        (padded_in_front, "above and on the left"),
    ],
    "1.4": [
        (lambda p, c, d: d * c * p * p, "biases and the layer norm"),
        (lambda p, c, d: d * c * p * p + d, "the layer norm has a scale"),
        (
            lambda p, c, d: float(d * c * p * p + 3 * d),
            "numbers are right, but expected an integer",
        ),
    ],
    "2.1": [
        (lambda h, w, m: (h * w) ** 2, "whole map"),
        (lambda h, w, m: m**4, "multiply by the number of windows"),
        (lambda h, w, m: h * w * m, "w * w keys"),
        (lambda h, w, m: h * w * m * m / 1, "numbers are right, but expected an integer"),
    ],
    "2.2": [
        (lambda q, k, w: q - k, "Displacement of the query"),
        (lambda q, k, w: torch.tensor(0), "Displacement of the query"),
    ],
    "2.3": [
        (lambda r, c, w, m: (r // m[0], c // m[1]), "Windows are counted row by row"),
        (
            lambda r, c, w, m: ((c // m[1]) * 2 + r // m[0], r % m[0] * m[1] + c % m[1]),
            "row by row",
        ),
    ],
    "3.1": [
        (lambda h, w, m, s: (h // m) * (w // m), "Most windows are whole"),
        (lambda h, w, m, s: h // m + w // m - 1, "Without a shift"),
        (lambda h, w, m, s: 7 if s else 0, "Draw the rolled map"),
    ],
    "3.2": [
        (lambda a, b, w, s: all(x // w == y // w for x, y in zip(a, b)), "without a shift"),
        (lambda a, b, w, s: all((x + s) // w == (y + s) // w for x, y in zip(a, b)), "wrong way"),
        (
            lambda a, b, w, s: all((x - s) % 8 // w == (y - s) % 8 // w for x, y in zip(a, b)),
            "lie at",
        ),
        (lambda a, b, w, s: max(abs(x - y) for x, y in zip(a, b)) <= s, "The borders lie at"),
        (lambda a, b, w, s: a == b, "not only at itself"),
    ],
    "3.3": [
        (mask_by_regions, "Nothing is masked|Number the moved windows"),
        (lambda h, w, m, s: torch.zeros(1), "booleans (windows, N, N)"),
    ],
    "3.4": [
        (lambda side, window, a, b: 1, "Spread the message"),
        (lambda side, window, a, b: 2 * (a != b), "Spread the message"),
    ],
    "4.1": [
        (lambda s, w: [(s // 4, s // 4, w)] * 4, "Patches of 4"),
        (lambda s, w: (s // 32, s // 32, 8 * w), "a list of four shapes"),
    ],
    "4.2": [
        (lambda d, h, w: 12 * d * d + 13 * d, "bias table is missing"),
        (lambda d, h, w: 0, "Two norms"),
    ],
    "4.3": [
        (lambda d, r: [r * i for i in range(4)], "One straight line"),
        (lambda d, r: [[0.0] * n for n in d], "One straight line"),
    ],
    "4.4": [
        (lambda n: n, "came back unchanged"),
        (lambda n: n.replace("head", "head.fc"), "Three things differ"),
    ],
    "5.1": [
        (lambda c, d, r: c * d * r * r, "biases are missing"),
        (lambda c, d, r: c * d * r + d, "wide AND"),
    ],
    "5.2": [
        (lambda c, r: torch.ones(c, c, r, r) / r**2, "channels are mixed"),
        (lambda c, r: torch.ones(c, 1, r, r) / r**2, "groups=C"),
        (lambda c, r: torch.randn(c, c, r, r, generator=torch.Generator()), "conv2d sums"),
    ],
    "5.3": [
        (lambda r, c, g, s: 5, "expected four numbers"),
        (lambda r, c, g, s: (r * s[0] / g[0], c * s[1] / g[1], s[0], s[1]), "x counts columns"),
    ],
    "6.1": [
        (lambda q, k, b, s: (s * q @ k.mT / q.shape[-1] ** 0.5 + b).softmax(-1), "a (B, N) tensor"),
        (lambda q, k, b, s: torch.full(q.shape[:2], float(q.shape[1])), "the answer its exp"),
    ],
    "6.2": [
        (lambda g, s: torch.zeros((2 * g[0] - 1) * (2 * g[1] - 1)), "belongs to the offset"),
        (lambda g, s: torch.zeros(g[0] * g[1], g[0] * g[1]), "in one row"),
    ],
    "6.3": [
        (without_super, "Split the channels into heads"),
        (lambda q, k, v, h, off: v, "Split the channels into heads"),
    ],
    "7.1": [
        (lambda x, a, b: torch.sigmoid(F.relu(x.mean((2, 3)) @ a.T) @ b.T), "Only the mean"),
        (lambda x, a, b: x, "to its mean and, a second time"),
    ],
    "7.2": [
        (lambda c, b: 16, "go through the divisors"),
        (lambda c, b: math.ceil(2 * c * c / b), "divisors"),
    ],
    "7.3": [
        (lambda x, s: x * s, "raised RuntimeError|rows and columns"),
        (lambda x, s: x * s[:, None, None, :], "raised RuntimeError|spread along the columns"),
        (lambda x, s: x.mul_(s[:, :, None, None]), "work on a copy"),
    ],
    "8.1": [
        (lambda links: links + torch.eye(len(links)), "rows do not sum to 1"),
        (lambda links: links, "self-loops are missing"),
        (in_place_adjacency, "work on a copy"),
        (lambda links: (links + torch.eye(len(links))).softmax(1), "linked to every other"),
        (lambda links: torch.eye(len(links)), "link missing"),
        (
            lambda links: (
                (links + torch.eye(len(links)))
                / (links + torch.eye(len(links))).sum(0, keepdim=True)
            ),
            "transposed|columns sum to 1",
        ),
    ],
    "8.2": [
        (layers_by_powers, "After one layer"),
        (lambda a: len(a) - 1, "After one layer|not one layer less"),
        (lambda a: int((a > 0).sum(1).max()) - 1, "After one layer"),
    ],
    "8.3": [
        (lambda x, s: s.softmax(-1).mT @ x, "argmax over the last dimension"),
        (lambda x, s: s.mT @ x, "argmax over the last dimension"),
        (lambda x, s: x, "a (B, M, C) tensor|argmax over the last"),
    ],
    "8.4": [
        (naive_neighbours, "inside a row"),
        (lambda grid, count: torch.eye(3), "one row and one column"),
        (lambda grid, count: torch.eye(grid[0] * grid[1] * count), "link missing"),
    ],
    "9.1": [
        (always_eight, "one super-node for 32 nodes"),
        (lambda grids, chosen: 576, "two integers"),
    ],
    "9.2": [
        (lambda m, v, g: (g * v).norm() / m.norm(), "p is the last map's mean"),
        (lambda m, v, g: m + (g * v)[:, :, None, None], "a (B,) tensor"),
    ],
    "9.3": [
        (lambda name: name, "expected a dict"),
        (lambda name: {}, "not what is left out"),
        (ablated("no graph", graph=False, pool="none"), "you also change pool"),
        (ablated("last map alone", granularities=(4,)), "MGFF refuses these options"),
        (ablated("last map alone", granularities=(0,)), "numbered from 0"),
        (ablated("no super-nodes", pool="after"), "which value of its option"),
        (ablated("no super-nodes", super_nodes=1), "which value of its option"),
        (ablated("no graph", grph=False), "MGFF refuses these options"),
        (ablated("no self-attention", channel_attention=False), "option each"),
    ],
    "9.4": [
        (made("order"), "from the finest to the coarsest"),
        (made("unused"), "no gradient reaches extra.weight"),
        (made("announced"), "those that you announce"),
        (made("three"), "expected four channels"),
        (made("pair"), "expected three things"),
        (made("class"), "must be an nn.Module"),
        (made("batch"), "another image of the batch"),
        (made("constant"), "does not depend on the image"),
        (made("last"), "those that you announce"),
        (made("detached"), "some map does not come from learned weights"),
        (lambda: backbone("")[0](), "expected three things"),
    ],
    "10.1": [
        (lambda s, p: sum(x.softmax(-1).mean(0) for x in s)[p:, p:].sum(0), "today's convention"),
        (lambda s, p: sum(x.softmax(-2).mean(0) for x in s).sum(1), "one number for each patch"),
    ],
    "10.2": [
        (lambda m, p: m[-1].mean(0)[0, p:], "identity"),
        (lambda m, p: sum(x.mean(0) for x in m)[0, p:], "identity"),
    ],
    "10.3": [
        (lambda c, g: c, "never turned"),
        (lambda c, g: -c if (c > c.mean()).float().mean() > 0.5 else c, "A larger side"),
        (lambda c, g: c.unflatten(0, g), "a tensor like the cut"),
    ],
    "11.1": [
        (lambda a, b: (0.5, 0.5), "expected one number"),
        (lambda a, b: float(a == b), "Shared width and height"),
    ],
    "11.2": [
        (lambda b, w, h: b[:2], "expected four numbers"),
        (lambda b, w, h: (0, 0, w, h), "The side is the longer one"),
    ],
    "11.3": [
        (flooded, "do without|without SciPy"),
        (recursive, "RecursionError"),
        (lambda m, r, c: m[0], "expected an array of shape"),
        (lambda m, r, c: m.__ior__(True), "work on a copy|expected"),
    ],
    "12.1": [
        (lambda p, w: sum(x * v for x, v in zip(p, w)), "sum of the weights"),
        (lambda p, w: p[0], "Multiply each look"),
    ],
    "12.2": [
        (lambda b, v, s: b, "subtract half of the free room"),
        (lambda b, v, s: b * s.repeat(1, 2) / torch.tensor([v[1], v[0]] * 2), "free room|stretch"),
    ],
    "12.3": [
        (lambda a, b: torch.where(entropy(a) <= entropy(b), a, b), "0 * log(0) is NaN"),
        (lambda a, b: a, "always the first"),
        (lambda a, b: (a + b) / 2, "This is the mean"),
    ],
    "13.1": [
        (boxes_in_place, "work on a copy"),
        (lambda b: b[0] if len(b) else 0, "x0 and y0 stay"),
    ],
    "13.2": [
        (lambda i, c, k: [(p, 0) for p in i.values()], "Look up each image's class id"),
        (lambda i, c, k: dict(i), "Look up each image's class id"),
        (lambda i, c, k: [(p, sorted(k).index(c[n])) for n, p in i.items()], "as text"),
    ],
    "13.3": [
        (pictures_split, "a group must stay together"),
        (one_group_more, "Stop as soon as there are enough"),
        (one_group_less, "until there are enough"),
        (groups_by(lambda names, g, s: names), "is the seed used"),
        (
            groups_by(lambda names, g, s: sorted(shuffled(names, s), key=g.count)),
            "never in validation|60 seeds gave the same split",
        ),
        (
            groups_by(lambda names, g, s: sorted(shuffled(names, s), key=lambda n: -g.count(n))),
            "never in validation|in validation with each|60 seeds gave",
        ),
        (groups_by(lambda names, g, s: shuffled(names, None)), "the same seed gave another split"),
        (
            groups_by(lambda names, g, s: shuffled(names, s % 2)),
            "never in validation|in validation with each",
        ),
        (lambda g, f, s: list(range(len(g))), "two lists"),
        (lambda g, f, s: (list(range(len(g))), [0]), "in both lists"),
        (lambda g, f, s: ([], []), "in neither list"),
        (lambda g, f, s: (list(range(len(g)))[::-1], []), "must be sorted"),
    ],
    "13.4": [
        (lambda b, s, o: b, "turn the picture"),
        (lambda b, s, o: (0, 0, 1, 1), "two opposite corners"),
    ],
    "14.1": [
        (lambda s, t, w, p: p, "For step < warmup"),
        (lambda s, t, w, p: str(p), "That is text"),
    ],
    "14.2": [
        (passes(fair, keep=True), "call backward after each pass"),
        (passes(fair, whole=True), "images passed the model at once"),
        (passes(fair, twice=True), "each must pass once"),
        (passes(fair, clear=False), "earlier call"),
        (passes(fair, tensor=True), "loss.item()"),
        (passes(lambda n, total, count: 1), "sum of the means"),
        (passes(lambda n, total, count: 1 / count), "mean of the passes' means"),
        (updating, "weights themselves were changed"),
        (lambda model, x, y, size: F.cross_entropy(x[:, :3], y).item(), "p.grad|weights' gradient"),
    ],
    "14.3": [
        (shares_without_error, "must not go unnoticed"),
        (shares_with_key_error, "expected a ValueError"),
        (shares_by_length, "must not go unnoticed"),
        (lambda shares, count: "0.5", "That is text"),
    ],
    "14.4": [
        (per_class(lambda seed, m, s: np.random.default_rng(seed).permutation(m)), "same shuffle"),
        (per_class(lambda seed, m, s: m), "is the seed used"),
        (per_class(global_state), "global random state"),
        (per_class(lambda seed, m, s: np.random.default_rng().permutation(m)), "another split"),
        (per_class(one_generator, lambda f, n: max(round(f * n), 1)), "only image|lose all"),
        (per_class(one_generator, lambda f, n: min(round(f * n), n - 1)), "two images or more"),
        (per_class(one_generator, lambda f, n: min(max(int(f * n), 1), n - 1)), "rounded down"),
        (per_class(one_generator, lambda f, n: min(max(math.ceil(f * n), 1), n - 1)), "rounded up"),
        (pictures_split, "class"),
        (lambda labels, f, s: (list(range(len(labels))), [0]), "in both"),
        (lambda labels, f, s: (list(range(len(labels)))[::-1], []), "must be sorted"),
        (lambda labels, f, s: (list(range(1, len(labels))), []), "in neither list"),
        (lambda labels, f, s: 3, "two lists"),
    ],
    "15.1": [
        (lambda d: 0.05, "Go through all 2^n"),
        (lambda d: float(stats.ttest_1samp(d, 0).pvalue), "t-test|raised|Go through"),
    ],
    "15.2": [
        (lambda v, t: max(np.mean(x) for x in t.values()), "chose the recipe by its test"),
        (lambda v, t: max(np.mean(x) for x in v.values()), "validation accuracy"),
        (lambda v, t: np.mean(t[max(v, key=lambda k: max(v[k]))]), "lucky seed"),
        (lambda v, t: max(v, key=lambda k: np.mean(v[k])), "That is text"),
    ],
    "15.3": [
        (lambda c, g: 0.5, "Of the counts off the diagonal"),
        (lambda c, g: np.trace(c) / np.sum(c), "Of the counts off the diagonal"),
    ],
    "15.4": [
        (lambda s, d: count_up(s, d, lambda n: 1.96), "1.96 for every n"),
        (lambda s, d: 5, "stop at the first n"),
        (lambda s, d: float(count_up(s, d, lambda n: stats.t.ppf(0.975, n - 1))), "an integer"),
    ],
    "16.1": [
        (lambda train, test: max(test.count(k) for k in test) / len(test), "TEST set"),
        (lambda train, test: 0.5, "Find the commonest"),
    ],
    "16.2": [
        (lambda p, y, w: p.max(1).values.min().item(), "lowest confidence"),
        (lambda p, y, w: w - 0.01, "For each image's highest probability"),
        (lambda p, y, w: p.max(1).values, "expected one number"),
    ],
    "16.3": [
        (byte_by_byte, "Shrink all pictures|another size"),
        (lambda a, b, limit: 3, "list of pairs"),
        (lambda a, b, limit: [(0, 0)], "Shrink all pictures"),
        (lambda a, b, limit: [(0.5, 1)], "whole numbers"),
    ],
}
