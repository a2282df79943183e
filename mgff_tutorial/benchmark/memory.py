"""How much GPU memory a training pass needs: computed from shapes, without a GPU and without the
arithmetic.

The model runs on fake tensors, which have shapes and types but no numbers; what autograd keeps for
the backward pass
is added up. Not counted: the allocator's waste and the libraries' own buffers (together 1 to 2 GB
    on a large card).
"""

from dataclasses import dataclass

import torch
from torch import nn

from ..support.errors import InputError, unknown_name

STATE_BYTES = {"sgd": 4, "momentum": 4, "adamw": 8}  # optimiser state a parameter, float32
GIB = 2**30


@dataclass
class TrainingMemory:
    """Bytes of one training pass, in three parts.

    Attributes:
        parameters: number of parameters.
        fixed: bytes of weights (in mixed precision also their halved copies), gradients and
            optimiser state: the same for every batch size.
        per_image: bytes that autograd keeps for one image.
        working: bytes of the largest part that is computed again in the backward pass, for one
            image (with checkpointing; else 0).
    """

    parameters: int
    fixed: int
    per_image: int
    working: int

    def total(self, batch):
        """Bytes for a batch of images in one pass."""
        return self.fixed + batch * (self.per_image + self.working)

    def largest_batch(self, gigabytes, spare=2.0):
        """How many images fit into a card, leaving ``spare`` GB for what is not counted."""
        return max(
            0, int(((gigabytes - spare) * GIB - self.fixed) // (self.per_image + self.working))
        )


def training_memory(build, img_size, precision="bf16", optimizer="sgd", checkpoint=False):
    """Compute the memory of a training pass.

    Args:
        build: a function without arguments that builds the model; called on the meta device.
        img_size: side of the images.
        precision: ``"no"`` (float32) or ``"bf16"`` (mixed: weights stay float32).
        optimizer: ``"sgd"``, ``"momentum"`` or ``"adamw"``.
        checkpoint: activation checkpointing, by the model's ``set_grad_checkpointing``.

    Returns:
        `TrainingMemory`.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    if optimizer not in STATE_BYTES:
        raise unknown_name("optimizer", optimizer, STATE_BYTES)
    if precision not in ("no", "bf16"):
        raise InputError(f"precision must be 'no' or 'bf16', got {precision!r}.")
    model = _build_on_meta(build)
    with FakeTensorMode():
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))
        blocks = [
            module
            for module in model.modules()
            if "Block" in type(module).__name__
            and any(isinstance(part, nn.Linear) for part in module.modules())
        ]
        if checkpoint:
            model.set_grad_checkpointing(True)
        kept, constant, largest = _line(model, blocks, img_size, precision)
        if checkpoint:
            model.set_grad_checkpointing(False)
            largest = _line(model, blocks, img_size, precision)[2]
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    fixed = 4 * count + (4 + STATE_BYTES[optimizer]) * trained + constant
    return TrainingMemory(count, fixed, kept, largest if checkpoint else 0)


def _build_on_meta(build):
    """The model, without numbers; one whose builder computes with tensors (timm's Swin of 2025) is
    built and stripped.
    """
    try:
        with torch.device("meta"):
            return build().train()
    except (RuntimeError, NotImplementedError):
        return build().train().to("meta")


def _line(model, blocks, img_size, precision):
    """(bytes kept an image, bytes kept whatever the batch, bytes an image of the largest block),
    from batches of 1 and 2.
    """
    (one, block_one), (two, block_two) = (
        _kept_bytes(model, blocks, img_size, precision, batch) for batch in (1, 2)
    )
    return (
        two - one,
        2 * one - two,
        max(b - a for a, b in zip(block_one, block_two)) if block_one else 0,
    )


def _kept_bytes(model, blocks, img_size, precision, batch):
    """(bytes that autograd keeps for a batch, list of each block's share)."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    seen, before, shares = {}, {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            seen[storage._cdata] = (
                storage.nbytes(),
                storage,
            )  # the storage stays alive, so its address stays its own
        return tensor

    def enter(module, inputs):
        before[module] = sum(size for size, _ in seen.values())

    def leave(module, inputs, output):
        shares.append(sum(size for size, _ in seen.values()) - before[module])

    handles = [
        hook
        for block in blocks
        for hook in (block.register_forward_pre_hook(enter), block.register_forward_hook(leave))
    ]
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), mixed:
        model(torch.zeros(batch, 3, img_size, img_size)).float().logsumexp(1).sum()
    for handle in handles:
        handle.remove()
    return sum(size for size, _ in seen.values()), shares
