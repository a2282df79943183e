"""How notebooks show that two computations agree: one line that is the same on every machine."""

import torch


def show_gap(what, ours, theirs, tolerance=1e-5):
    """Print how closely two tensors agree and how large they are, in words that do not depend on
    the machine.

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
    largest = max(b.double().abs().max().item() for _, b in pairs)
    if worst < tolerance:
        limit = f"{tolerance:.0e}".replace("e-0", "e-")
        print(f"{what}: agrees within {limit}; largest value {largest:.2g}")
    else:
        print(f"{what}: differs by up to {worst:.1g}; largest value {largest:.2g}")
