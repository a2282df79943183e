"""A direction among a ViT's tokens: what the patches of one kind of object have in common."""

import base64
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .errors import InputError


@dataclass(frozen=True, eq=False)
class Direction:
    """A logistic function of a patch's final token.

    Attributes:
        slopes: (C,) numbers, one for each of a token's.
        offset: one number.
        made_for: timm's name of the ViT whose tokens are meant, without the part after the dot.
    """

    slopes: torch.Tensor
    offset: float
    made_for: str | None = None

    def likeness(self, record):
        """(B, N) probabilities that the patches of a `ViTRecord` belong to such an object."""
        tokens = record.tokens[:, record.prefix :].float()
        if tokens.shape[-1] != len(self.slopes):
            raise InputError(
                f"vit: this rule is for tokens of {len(self.slopes)} numbers "
                f"({self.made_for}), got {tokens.shape[-1]}."
            )
        return (F.normalize(tokens, dim=-1) @ self.slopes.to(tokens.device) + self.offset).sigmoid()

    def packed(self):
        """(text, largest slope, offset), for `unpacked`: one byte for each slope."""
        top = float(self.slopes.abs().max())
        return _pack(self.slopes / top), top, self.offset


def _pack(shares):
    return base64.b64encode((shares * 127).round().to(torch.int8).numpy().tobytes()).decode()


def unpacked(text, top, offset, made_for=None):
    """The `Direction` that `Direction.packed` wrote down."""
    bytes_ = np.frombuffer(base64.b64decode(text), dtype=np.int8)
    return Direction(torch.from_numpy(bytes_ * np.float32(top / 127)), offset, made_for)


def check_made_for(direction, vit):
    """Raise `InputError` if ``direction`` belongs to another ViT than ``vit``, where both are
    known.
    """
    config = getattr(vit, "pretrained_cfg", None) or {}
    name = dict(config).get("architecture") if direction else None
    if name and direction.made_for and name != direction.made_for:
        raise InputError(
            f"rule: this one was fitted to the tokens of {direction.made_for}, and the ViT is "
            f"{name}; accepted: a rule of mgff_tutorial.response.RULES."
        )
