"""What a checkpoint may say of itself, and what its weights may be; checked when it is read and
when it is written.
"""

import hashlib

import torch

from .errors import CheckpointError, check_entries, is_number, is_text, is_whole, shortened

MAX_CLASSES = 100_000
COUNTERS = ("num_batches_tracked", "_index", "_ids", "mask")  # what is no weight may be whole
_side = lambda v: is_whole(v, 1, 4096)
_channels = lambda v, low: (
    isinstance(v, (list, tuple)) and len(v) == 3 and all(is_number(x, low) for x in v)
)
_claim = {
    "correct?": (is_whole, "an integer of 0 or more"),
    "count?": (lambda v: is_whole(v, 1), "an integer of 1 or more"),
    "accuracy?": (lambda v: is_number(v, 0, 1), "from 0 to 1"),
}
CARD = {
    "model?": (lambda v: is_text(v) and 0 < len(v) <= 200, "the name of a model"),
    "kwargs?": (lambda v: isinstance(v, dict) and len(v) <= 100, "a dict of options"),
    "parts?": (lambda v: isinstance(v, dict), "a dict of names"),
    "classes?": (
        lambda v: (
            isinstance(v, (list, tuple)) and 0 < len(v) <= MAX_CLASSES and all(map(is_text, v))
        ),
        f"a list of 1 to {MAX_CLASSES} names",
    ),
    "img_size?": (_side, "from 1 to 4096"),
    "resize?": (_side, "from 1 to 4096"),
    "mean?": (lambda v: _channels(v, -100), "three numbers"),
    "std?": (lambda v: _channels(v, 1e-6), "three positive numbers"),
    "digest?": (is_text, "text"),
    "data?": (is_text, "text"),
    "split?": (lambda v: v in ("train", "test", "all"), "train, test or all"),
    "two_stage?": (lambda v: isinstance(v, dict), "a dict"),
    "recipe?": (lambda v: isinstance(v, dict), "a dict"),
    **_claim,
}


def check_card(path, card):
    """``card``, if its entries have the right types and fit each other.

    Raises:
        CheckpointError: names the file and the entry.
    """
    place = f"{path}: the card"
    check_entries(place, card, CARD, CheckpointError)
    classes, kwargs = card.get("classes"), card.get("kwargs") or {}
    if classes and len(set(classes)) < len(classes):
        raise CheckpointError(f"{place} names a class twice.")
    said = kwargs.get("num_classes")
    if said is not None and not is_whole(said, 0, MAX_CLASSES):
        raise CheckpointError(f"{place} says {shortened(said)} for num_classes.")
    if classes and said is not None and said != len(classes):
        raise CheckpointError(f"{place} names {len(classes)} classes and says num_classes={said}.")
    if (
        "img_size" in kwargs
        and isinstance(kwargs["img_size"], int)
        and not _side(kwargs["img_size"])
    ):
        raise CheckpointError(f"{place} says img_size={shortened(kwargs['img_size'])}.")
    for claim in (card, card.get("two_stage") or {}):
        check_entries(place, claim, _claim, CheckpointError)
        correct, count, accuracy = map(claim.get, ("correct", "count", "accuracy"))
        if (correct is None) != (count is None) or (correct is not None and correct > count):
            raise CheckpointError(f"{place} claims {correct} of {count} images.")
        if None not in (correct, accuracy) and abs(accuracy - correct / count) > 1e-4:
            raise CheckpointError(
                f"{place} claims an accuracy of {accuracy} for {correct} of {count} images."
            )
    return card


def digest_of(state):
    """A text that changes with every name, shape and number of a state dict."""
    whole = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        tensor = state[name].contiguous()
        whole.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        whole.update(tensor.flatten().view(torch.uint8).numpy())
    return whole.hexdigest()


def check_weights(path, state, digest=None):
    """``state`` (name -> tensor), if its weights are finite floating-point numbers, and those that
    the file was written with.

    Args:
        digest: `digest_of` the weights, where the card has one.

    Raises:
        CheckpointError: names the file and the tensor.
    """
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue  # reported by the caller
        if tensor.is_floating_point():
            # one number tells; infinite sums of finite weights are looked at again
            if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
                raise CheckpointError(f"{path}: {name} holds NaN or infinite numbers.")
        elif not name.endswith(COUNTERS):
            raise CheckpointError(
                f"{path}: {name} holds {str(tensor.dtype).removeprefix('torch.')}; weights are "
                "floating-point numbers."
            )
    if digest is not None and digest_of(state) != digest:
        raise CheckpointError(f"{path}: the weights are not those it was written with; damaged.")
    return state
