"""How notebooks show that two computations agree: one line that is the same on every machine."""

import torch


def show_gap(what, ours, theirs, tolerance=1e-5):
    """Print whether two tensors agree in shape and values, in words that do not depend on the
    machine.

    Args:
        what: name of the comparison. ours, theirs: tensors, or lists of tensors.
        tolerance: largest difference that counts as equal.
    """
    pairs = (
        [(ours, theirs)] if isinstance(ours, torch.Tensor) else list(zip(ours, theirs, strict=True))
    )
    for a, b in pairs:
        if a.shape != b.shape:
            print(f"{what}: shapes differ, {tuple(a.shape)} and {tuple(b.shape)}")
            return
    worst = max((a.double().cpu() - b.double().cpu()).abs().max().item() for a, b in pairs)
    print(f"{what}: max difference < {tolerance:.0e}: {worst < tolerance}")
