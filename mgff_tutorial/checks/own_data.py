"""Checks of notebook 16: the laziest model, a threshold for silence, photographs that leak into the
test split.
"""

import numpy as np
import torch
from PIL import Image

from .cases import compare, draw, read
from .core import CheckFailed, ask, exercise, expect


def _commonest(labels, last=False):
    best = max(labels.count(k) for k in labels)
    found = [k for k in labels if labels.count(k) == best]
    return max(found) if last else min(found)


def _share(labels, name):
    return labels.count(name) / len(labels)


@exercise("Exercise 16.1")
def check_lazy_accuracy(lazy_accuracy):
    """Unequal classes, a commonest class that differs between the splits, and ties."""
    cases = [
        ([0, 0, 1, 2], [0, 1, 1, 1]),
        ([3, 3, 3, 1], [3, 3, 1, 1, 1]),
        ([2, 1, 1, 2], [1, 1, 2, 3, 3, 3]),
        ([5], [4, 4]),
        ([7, 7, 2, 2, 0], [7, 2, 2, 2, 0, 0]),
        ([9, 10, 10, 9, 9, 10], [10, 9, 10, 10]),
        ([8, 8, 1, 1], [8, 1, 1, 1]),
    ]
    for _ in range(5):
        train = [draw.integer(0, 4) for _ in range(draw.integer(5, 20))]
        cases.append((train, [draw.integer(0, 5) for _ in range(draw.integer(4, 15))]))
    compare(
        lazy_accuracy,
        lambda train, test: _share(test, _commonest(train)),
        cases,
        [
            (
                "You named the commonest class of the TEST set: the lazy model must not look "
                "there.",
                lambda train, test: _share(test, _commonest(test)),
            ),
            (
                "That is its accuracy on the training set.",
                lambda train, test: _share(train, _commonest(train)),
            ),
            (
                "That is guessing at random; the lazy model always says the same.",
                lambda train, test: 1 / len(set(train)),
            ),
            (
                "That is guessing at random among the test classes; the lazy model always says the "
                "same.",
                lambda train, test: 1 / len(set(test)),
            ),
            (
                "Of several commonest classes, take the smallest number.",
                lambda train, test: _share(test, _commonest(train, last=True)),
            ),
            (
                "Of several commonest classes, take the smallest number, not the first that comes.",
                lambda train, test: _share(test, max(dict.fromkeys(train), key=train.count)),
            ),
            (
                "That is the class with the largest number, not the commonest.",
                lambda train, test: _share(test, max(train)),
            ),
            (
                "That is the class with the smallest number, not the commonest.",
                lambda train, test: _share(test, min(train)),
            ),
            (
                "The rarest class is named.",
                lambda train, test: _share(test, min(sorted(set(train)), key=train.count)),
            ),
            (
                "That is a number of images; divide by the length of the test set.",
                lambda train, test: test.count(_commonest(train)),
            ),
            (
                "Divide by the length of the TEST set.",
                lambda train, test: test.count(_commonest(train)) / len(train),
            ),
            (
                "That is the share of errors.",
                lambda train, test: 1 - _share(test, _commonest(train)),
            ),
            (
                "Return the accuracy, not the class.",
                lambda train, test: _commonest(train),
            ),
        ],
        describe=lambda train, test: f"training labels {train}, test labels {test}",
        form="one number",
        hint="Find the commonest training label, of several the smallest; the share of test labels "
        "that equal it.",
        tolerance=1e-6,
    )


def _ranked(p, labels):
    highest, right = p.max(1).values, (p.argmax(1) == labels)
    order = highest.argsort(descending=True, stable=True)
    return highest[order], right[order].double()


def _confident(p, labels, wanted, none=2.0, best=min, above=lambda h, t: h >= t, enough=None):
    highest, right = p.max(1).values, (p.argmax(1) == labels).double()
    enough = enough or (lambda share: share >= wanted - 1e-9)
    good = [
        t.item()
        for t in highest
        if above(highest, t).any() and enough(right[above(highest, t)].mean())
    ]
    return best(good) if good else none


def _first_failure(p, labels, wanted):
    highest, right = _ranked(p, labels)
    found = 2.0
    for t in highest.unique().flip(0):
        if right[highest >= t].mean() < wanted - 1e-9:
            break
        found = t.item()
    return found


def _one_by_one(p, labels, wanted):
    highest, right = _ranked(p, labels)
    good = [t.item() for i, t in enumerate(highest) if right[: i + 1].mean() >= wanted - 1e-9]
    return min(good, default=2.0)


@exercise("Exercise 16.2", points=2)
def check_confident(confident):
    """Answers that get better with confidence, ones that don't, ties, several classes in any order,
    and demands that can't be met.
    """
    top = torch.tensor([0.95, 0.9, 0.8, 0.7, 0.6, 0.55])
    two = torch.stack([top, 1 - top], dim=1)
    cases = []
    for labels, wanted in (
        ([0, 0, 0, 0, 1, 0], 0.9),
        ([0, 0, 1, 0, 0, 0], 0.8),
        ([1, 0, 0, 0, 0, 0], 0.9),
        ([1, 0, 0, 0, 0, 0], 0.8),
        ([0, 1, 0, 0, 0, 0], 1.0),
        ([0, 0, 1, 1, 0, 0], 0.5),
        ([1, 1, 1, 1, 1, 1], 0.1),
    ):
        order = torch.tensor(draw.shuffled(list(range(6))))
        cases.append((two[order], torch.tensor(labels)[order], wanted))
    tied = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4]])
    cases += [(tied, torch.tensor([0, 1, 0]), 0.6), (tied, torch.tensor([0, 1, 1]), 0.9)]
    cases += [(tied.flip(0), torch.tensor([0, 1, 0]), 0.6)]
    for _ in range(6):
        p = draw.normal(draw.integer(4, 9), 4).mul(2).softmax(1)
        wrong = draw.uniform(len(p)) < 0.4
        labels = torch.where(wrong, (p.argmax(1) + 1) % 4, p.argmax(1))
        cases.append((p, labels, draw.choice([0.5, 0.6, 0.7, 0.8])))
    compare(
        confident,
        _confident,
        cases,
        [
            (
                "You stopped at the first failure. A lower threshold can be good again: test all "
                "of them.",
                _first_failure,
            ),
            (
                "That is the largest such threshold: the system would be silent more often than it "
                "need.",
                lambda *a: _confident(*a, best=max),
            ),
            (
                "Images with equal confidence are answered together; you add them one by one.",
                _one_by_one,
            ),
            (
                "An image whose confidence EQUALS the threshold is answered, too: >= t.",
                lambda *a: _confident(*a, above=torch.gt),
            ),
            (
                "If no threshold reaches the share, return 2.0.",
                lambda *a: _confident(*a, none=1.0),
            ),
            (
                "If no threshold reaches the share, return 2.0, not 0.",
                lambda *a: _confident(*a, none=0.0),
            ),
            (
                "At least the share: a share that is met exactly is enough.",
                lambda p, y, w: _confident(p, y, w, enough=lambda share: share > w + 1e-9),
            ),
            (
                "The share is of the images that are ANSWERED, not of all.",
                lambda p, y, w: min(
                    (
                        t.item()
                        for t in p.max(1).values
                        if ((p.argmax(1) == y) & (p.max(1).values >= t)).double().mean() >= w
                    ),
                    default=2.0,
                ),
            ),
            (
                "That is the lowest confidence of all, whatever the answers are worth.",
                lambda p, y, w: p.max(1).values.min(),
            ),
            (
                "The threshold is one of the highest probabilities, not the wanted share.",
                lambda p, y, w: w,
            ),
            (
                "Confidence is the highest probability, not that of the right class.",
                lambda p, y, w: min(
                    (
                        t.item()
                        for t in p.gather(1, y[:, None])[:, 0]
                        if (p.argmax(1) == y)[p.gather(1, y[:, None])[:, 0] >= t].double().mean()
                        >= w
                    ),
                    default=2.0,
                ),
            ),
            (
                "The images at or BELOW the threshold are tested; those above are answered.",
                lambda *a: _confident(*a, above=torch.le),
            ),
        ],
        describe=lambda p, y, w: (
            "right (1) and wrong (0) by falling confidence "
            f"{[int(v) for v in _ranked(p, y)[1]]}, wanted {w}"
        ),
        form="one number",
        hint="For each image's highest probability t: of all images with highest probability >= t, "
        "which share is right? The smallest t with at least `wanted`; 2.0 if there is none.",
        tolerance=1e-6,
    )


def _tiny(images, dtype=float, mode="L", size=(8, 8), how=Image.Resampling.BOX):
    return [np.asarray(image.convert(mode).resize(size, how)).astype(dtype) for image in images]


def _pairs(train, test, limit, distance=None, dtype=float, at=False, **shrink):
    distance = distance or (lambda a, b: np.abs(a - b).mean())
    return [
        (i, j)
        for i, a in enumerate(_tiny(train, dtype, **shrink))
        for j, b in enumerate(_tiny(test, dtype, **shrink))
        if (distance(a, b) <= limit if at else distance(a, b) < limit)
    ]


def _picture(draw, size=(120, 96)):
    pixels = draw.rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def _grey(*values):
    """A picture whose left and right halves have these grey values."""
    half = [np.full((16, 16 // len(values), 3), v, np.uint8) for v in values]
    return Image.fromarray(np.concatenate(half, 1))


@exercise("Exercise 16.3", points=4)
def check_leaks(leaks):
    """Copies in other sizes, a mirror image, darker and lighter pictures, copies of copies, a limit
    that is met exactly, and the order of the pairs.
    """
    pictures = [_picture(draw) for _ in range(6)]
    mirrored = pictures[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    lighter = Image.fromarray(np.asarray(pictures[1]) // 2 + 100)
    train, test = (
        pictures[:3],
        [
            pictures[3],
            pictures[2].resize((60, 48)),
            mirrored,
            pictures[0].resize((200, 160)),
            pictures[4],
            lighter,
            pictures[0].resize((90, 72)),
        ],
    )
    order = draw.shuffled(list(range(len(test))))
    # as grey as `plain`, but of another colour; stripes that cells of 2 x 2 pixels even out, and
    # blocks that they keep
    plain = _grey(128)
    coloured = Image.new("RGB", (16, 16), (128 + 59, 128 - 30, 128))
    stripes = np.repeat(np.tile(np.array([0, 255], np.uint8), 8)[None, :, None], 3, 2)
    across = Image.fromarray(np.repeat(stripes, 16, 0))
    every_second = Image.fromarray(np.repeat(np.maximum(stripes, 128), 16, 0))
    down = across.transpose(Image.Transpose.ROTATE_90)
    blocks = Image.fromarray(draw.rng.integers(0, 256, (8, 8, 1), dtype=np.uint8).repeat(3, 2))
    cases = [
        (train, test, 4.0),
        (train, [test[i] for i in order], 4.0),
        ([*train, train[0].resize((60, 48))], test[:4], 4.0),
        (train, pictures[3:], 4.0),
        (train, test, 0.0),
        # grey values that differ by exactly 4, by 4 upwards and downwards, and by 3
        ([_grey(100)], [_grey(104), _grey(96), _grey(103), _grey(97)], 4.0),
        # differences of opposite sign that cancel without an absolute value
        ([_grey(100, 140)], [_grey(140, 100), _grey(100, 140), _grey(99, 141)], 4.0),
        ([_grey(0, 0), _grey(255, 255)], [_grey(0, 255), _grey(255, 0), _grey(1, 2)], 4.0),
        ([plain], [coloured], 4.0),
        ([plain], [across, down], 4.0),
        ([plain], [every_second, every_second.transpose(Image.Transpose.ROTATE_180)], 4.0),
        ([blocks], [blocks.resize((16, 16), Image.Resampling.NEAREST)], 4.0),
        # 10 on average, 20 in the right half, the root of the mean square 14
        ([_grey(50, 50)], [_grey(50, 70), _grey(70, 50)], 12.0),
    ]

    mistakes = [
        (
            "The pairs are turned round: the position in the training list comes first.",
            lambda a, b, limit: sorted((j, i) for i, j in _pairs(a, b, limit)),
        ),
        (
            "The list must be sorted.",
            lambda a, b, limit: sorted(_pairs(a, b, limit), key=lambda pair: pair[::-1]),
        ),
        (
            "It is the mean of the ABSOLUTE difference: above and below may not cancel.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: (x - y).mean()),
        ),
        (
            "The absolute value is taken of the mean; take it of each pixel's difference, then the "
            "mean.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: abs((x - y).mean())),
        ),
        (
            "uint8 differences wrap around (3 - 5 gives 254); convert to float first.",
            lambda a, b, limit: _pairs(a, b, limit, dtype=np.uint8),
        ),
        (
            "That is the largest difference; take the mean over the 64 pixels.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: np.abs(x - y).max()),
        ),
        (
            "That is the sum over 64 pixels; take the mean.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: np.abs(x - y).sum()),
        ),
        (
            "That is the mean SQUARE; the absolute difference is asked for.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: ((x - y) ** 2).mean()),
        ),
        (
            "That is the root of the mean square; the absolute difference is asked for.",
            lambda a, b, limit: _pairs(a, b, limit, lambda x, y: ((x - y) ** 2).mean() ** 0.5),
        ),
        (
            "A difference that equals the limit is not below it: use <.",
            lambda a, b, limit: _pairs(a, b, limit, at=True),
        ),
        (
            "Only pictures at the same place of both lists are compared; compare all pairs.",
            lambda a, b, limit: [(i, j) for i, j in _pairs(a, b, limit) if i == j],
        ),
        (
            "Every training picture may have several copies; you keep the first.",
            lambda a, b, limit: [
                (i, j)
                for n, (i, j) in enumerate(_pairs(a, b, limit))
                if i not in [k for k, _ in _pairs(a, b, limit)[:n]]
            ],
        ),
        (
            "A test picture may be a copy of several training pictures; you keep the first.",
            lambda a, b, limit: [
                (i, j)
                for n, (i, j) in enumerate(_pairs(a, b, limit))
                if j not in [k for _, k in _pairs(a, b, limit)[:n]]
            ],
        ),
        (
            "Copies of another size aren't found: compare the 8 x 8 versions.",
            lambda a, b, limit: [(i, j) for i, j in _pairs(a, b, limit) if a[i].size == b[j].size],
        ),
        (
            "Positions count from 0.",
            lambda a, b, limit: [(i + 1, j + 1) for i, j in _pairs(a, b, limit)],
        ),
        (
            'Colours are compared; shrink the GREY picture, image.convert("L").',
            lambda a, b, limit: _pairs(a, b, limit, mode="RGB"),
        ),
        (
            "The pictures are shrunk by another filter; use Image.Resampling.BOX.",
            lambda a, b, limit: _pairs(a, b, limit, how=Image.Resampling.BICUBIC),
        ),
        (
            "The pictures are shrunk by picking pixels; use Image.Resampling.BOX.",
            lambda a, b, limit: _pairs(a, b, limit, how=Image.Resampling.NEAREST),
        ),
        (
            "Shrink to 8 x 8 pixels; yours are 16 x 16.",
            lambda a, b, limit: _pairs(a, b, limit, size=(16, 16)),
        ),
        ("No copy is found.", lambda a, b, limit: []),
    ]

    def run(train, test, limit):
        got = ask(leaks, train, test, limit)
        try:
            pairs = [(int(a), int(b)) for a, b in got]
        except (TypeError, ValueError):
            raise CheckFailed(
                "expected a list of pairs (train, test) of numbers, got something else: a "
                f"{type(got).__name__}."
            ) from None
        expect(
            all(float(v) == int(v) for pair in got for v in pair),
            "positions are whole numbers.",
        )
        return pairs

    compare(
        run,
        _pairs,
        cases,
        mistakes,
        describe=lambda a, b, limit: f"{len(a)} training and {len(b)} test pictures, limit {limit}",
        form="a sorted list of pairs (train, test)",
        hint="Shrink all pictures to 8 x 8 grey pixels as floats; every pair whose mean absolute "
        "difference is below the limit, sorted.",
        say=lambda expected, got: f"expected {_as_pairs(expected)}, got {_as_pairs(got)}",
    )


def _as_pairs(result):
    result = np.asarray(read(result))
    return [tuple(int(v) for v in row) for row in result] if result.ndim == 2 else []
