"""Randomness as a function of what is being done, not of what was done before.

Augmentation of an image depends on (seed, epoch, index), dropout on (seed, step, process). So the
number of loader workers changes nothing, and a resumed run needs no stored random state to continue
as if it had never stopped.
"""

import contextlib
import random

import numpy as np
import torch

from ..support.device import random_states_restored


def mixed_seed(*numbers):
    """One 32-bit seed from several whole numbers; neighbouring inputs give unrelated seeds."""
    return int(np.random.SeedSequence([int(number) for number in numbers]).generate_state(1)[0])


def uniforms(count, *numbers):
    """``count`` float64 numbers in [0, 1) that depend on ``numbers`` alone."""
    return np.random.default_rng([int(number) for number in numbers]).random(count)


def epoch_order(size, seed, epoch):
    """The order of ``size`` training images in one epoch: a permutation as an int array."""
    return np.random.default_rng([int(seed), int(epoch)]).permutation(size)


@contextlib.contextmanager
def fixed_randomness(seed):
    """Within: Python, NumPy and torch (CPU) are seeded with ``seed``; afterwards they go on as if
    nothing was.
    """
    with random_states_restored():
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        yield
