"""Heads on stored feature maps: the plain baseline, a control of equal size, and MGFF; one recipe
trains them all.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..attention import init_linear
from ..mgff import MGFF
from ..options import resolve_options
from ..support.device import seed_everything
from ..support.errors import InputError
from ..training.recipe import Schedule, parameter_groups


class FrozenHead(nn.Module):
    """What `MGFFClassifier` puts on its backbone, fed with stored maps instead of images.

    Args:
        channels, grids: of the four maps.
        num_classes: K.
        preset: ``"baseline"`` (the pooled features, then a linear layer), ``"mlp"`` (a control: the
            same, plus a residual two-layer network of ``hidden`` units on the pooled features,
            through a zero gate as in MGFF's default), ``"default"`` or ``"literal"``.
        hidden: of the control.
        **options: of `MGFF`.
    """

    def __init__(self, channels, grids, num_classes, preset="default", hidden=400, **options):
        super().__init__()
        plain, width = preset in ("baseline", "mlp"), channels[-1]
        if plain and options:
            raise InputError(
                f"preset {preset!r} has no MGFF, so {sorted(options)[0]!r} doesn't apply to it."
            )
        if not plain and resolve_options(preset, **options).entry == "replace":
            width = options.get("dim") or width
        # First of all, so that heads of the same seed start with the same classifier.
        self.classifier = init_linear(nn.Linear(width, num_classes))
        self.mgff = None if plain else MGFF(channels, grids, preset, **options)
        self.sees_maps = not plain
        self.mlp = None
        if preset == "mlp":
            self.mlp = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
            )
            self.gate = nn.Parameter(torch.zeros(width))

    def forward(self, maps, pooled):
        """Four maps (B, C_i, H_i, W_i; None without MGFF) and the backbone's own pooled features
        (B, C) -> logits (B, K).
        """
        if self.mlp is not None:
            pooled = pooled + self.gate * self.mlp(pooled)
        if self.mgff is not None:
            out = self.mgff(maps)
            pooled = out["embedding"] if out["update"] is None else pooled + out["update"]
        return self.classifier(pooled)

    def answers(self, maps, pooled):
        """What training compares with the label: pairs of a weight in the loss and logits."""
        return [(1.0, self(maps, pooled))]

    def get_classifier(self):
        """The linear layer, as timm's models name it."""
        return self.classifier

    def no_weight_decay(self):
        """Names of the bias tables and the adjacency, which weight decay should leave alone."""
        spared = ("relative_position_bias_table", "adjacency")
        return {name for name, _ in self.named_parameters() if name.endswith(spared)}


@dataclass(frozen=True)
class HeadRecipe:
    """How a head is trained: AdamW, warm-up over a tenth of the steps, half a cosine to zero.

    ``lr`` is that of the linear classifier, ``new_lr`` that of MGFF's (or the control's) layers.
    """

    lr: float = 3e-3
    new_lr: float = 1e-3
    epochs: int = 12
    weight_decay: float = 0.05
    batch_size: int = 40
    label_smoothing: float = 0.1

    def __str__(self):
        return f"lr={self.lr:g},new_lr={self.new_lr:g},epochs={self.epochs}"


def train_head(head, views, labels, indices, recipe, seed, bf16=False):
    """Train on one random stored view of each image an epoch.

    Args:
        head: a `FrozenHead`.
        views: list of the dicts of `FrozenFeatures.extract`, all of the same images.
        labels: (N,) tensor. indices: which of the N images to train on.
        recipe: `HeadRecipe`. seed: of the order of images and of the choice of views.
        bf16: compute in bfloat16 where that is quicker.

    Returns:
        The head, in evaluation mode.
    """
    seed_everything(seed)
    indices, count = np.asarray(indices), len(indices)
    steps_an_epoch = -(-count // recipe.batch_size)
    steps, step = steps_an_epoch * recipe.epochs, 0
    optimizer = torch.optim.AdamW(_groups(head, recipe), betas=(0.9, 0.98))
    schedule, generator = Schedule(optimizer, steps, steps // 10), np.random.default_rng(seed)
    head.train()
    for _ in range(recipe.epochs):
        order = indices[generator.permutation(count)]
        choice = generator.integers(len(views), size=count)
        for part in np.array_split(np.arange(count), steps_an_epoch):
            maps, pooled = _batch(views, order[part], choice[part], head.sees_maps)
            with torch.autocast(pooled.device.type, torch.bfloat16, enabled=bf16):
                answers = head.answers(maps, pooled)
            truth, smoothing = labels[order[part]], recipe.label_smoothing
            loss = sum(
                weight * F.cross_entropy(logits.float(), truth, label_smoothing=smoothing)
                for weight, logits in answers
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 5.0)
            schedule.set(step)
            optimizer.step()
            step += 1
    return head.eval()


@torch.inference_mode()
def predict_head(head, view, indices=None, batch_size=100):
    """Class probabilities (N, K) of the images of one stored view, in float32."""
    head.eval()
    indices = np.arange(len(view["pooled"])) if indices is None else np.asarray(indices)
    parts = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    batches = (_batch([view], part, np.zeros_like(part), head.sees_maps) for part in parts)
    return torch.cat([head(*batch).softmax(1) for batch in batches])


def _batch(views, images, choice, with_maps):
    """Stored maps of ``images``, image i from view ``choice[i]``, in float32; None for a head that
    sees the pooled features alone.
    """
    chosen = [(views[v], i) for i, v in zip(images.tolist(), choice.tolist())]
    pooled = torch.stack([view["pooled"][i] for view, i in chosen])
    if not with_maps:
        return None, pooled
    maps = [torch.stack([view["maps"][level][i] for view, i in chosen]) for level in range(4)]
    return [m.float() for m in maps], pooled


def _groups(head, recipe):
    """Parameter groups; vectors, bias tables and the adjacency are not decayed.

    The gate gets ten times the rate of the layers behind it: it starts at zero, all they learn has
    to pass it, and in a few hundred updates it would hardly open.
    """
    groups = parameter_groups(head, recipe.new_lr, recipe.weight_decay)
    gate = getattr(head.mgff or head, "gate", None)
    for group in groups:
        group["params"] = [p for p in group["params"] if p is not gate]
        if group["name"].startswith("new"):  # what a timm model's head would be: the classifier
            group["lr"] = recipe.lr
    opening = {"params": [gate], "lr": 10 * recipe.new_lr, "weight_decay": 0.0}
    return groups if gate is None else [*groups, opening]
