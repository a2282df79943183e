"""Pretraining of the nano models on drawn birds of other species, the counterpart of ImageNet
pretraining.

Small attention models stay at chance when image labels are all they get from 2 cores' worth of
training. The
renderer knows more: which part every pixel shows, and in which variant. A light decoder predicts
this part map from the feature maps, and the model's own head predicts the variant of each of the
six parts from the pooled features; so the models leave chance within minutes. The decoder is thrown
away afterwards; the model is what is kept.

Every picture shows a species of its own, invented for it, and never one of SketchBirds
(`pretraining_species`). With a few hundred species seen again and again, a model learns them by
their colours and reads the parts off its memory: on the species of such a run 98 % of the part
    codes were right, on new ones 44 %. `pretraining_data` draws the pictures.
"""

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ..models import create_model
from ..renderer.species import PART_CLASSES, PART_CODES
from ..support.checkpoints import CheckpointError, check_parts_of_zip, save_checkpoint
from ..support.device import pick_device, seed_everything
from ..support.errors import InputError, check_number
from .config import Settings
from .pretraining_data import CODE_NAMES, CODES_PER_PART, picture_pool, random_views, visible_parts
from .recipe import Schedule, parameter_groups
from .runs import RunFolder

SAVE_EVERY = 120  # seconds
STATE = "state.pt"  # all that a run needs to continue


@dataclass
class PretrainConfig(Settings):
    """What `pretrain` needs; the checkpoint's card stores all of it."""

    model: str = "swin_nano"
    seed: int = 0
    pool: int = 48_000  # pictures rendered once, each of another species
    images: int = 640_000  # pictures trained on, views of the pool
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    code_weight: float = 1.0
    beak_weight: float = (
        3.0  # of the beak in both losses: its shape is the last thing that small models learn
    )
    background_weight: float = 0.2  # most pixels are background: without this the parts are drowned
    device: str = "auto"
    bf16: bool = True

    def __post_init__(self):
        super().__post_init__()
        for names, low, high in (
            ("seed", 0, 2**31 - 1),
            ("pool", 20, 1_000_000),
            ("batch_size", 1, 4096),
            ("images", self.batch_size, 10**9),
            ("lr", 1e-12, 1e3),
            ("weight_decay code_weight beak_weight background_weight", 0, 1e6),
        ):
            for name in names.split():
                value = getattr(self, name)
                check_number(name, value, low, high, whole=isinstance(value, int))


# --- the model with its supervision ----------


class PartDecoder(nn.Module):
    """Feature maps to a part map, top down: coarse maps say what, fine maps say where (a feature
    pyramid).

    Args:
        channels: channels of the maps, finest first.
        grids: side of each map.
        out_size: side of the predicted part map.
        dim: width of the decoder, kept small so that the backbone has to do the work.
    """

    def __init__(self, channels, grids, out_size, classes=None, dim=96):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in channels)
        self.smooth = nn.Sequential(nn.GELU(), nn.Conv2d(dim, dim, 3, padding=1), nn.GELU())
        self.factor = out_size // grids[0]
        self.predict = nn.Conv2d(dim, (classes or len(PART_CLASSES)) * self.factor**2, 1)

    def forward(self, maps):
        """Maps of (B, C_i, H_i, W_i), finest first -> logits (B, classes, out_size, out_size)."""
        top = self.lateral[-1](maps[-1])
        for conv, finer in zip(list(self.lateral)[-2::-1], maps[-2::-1]):
            top = F.interpolate(top, size=finer.shape[-2:], mode="nearest") + conv(finer)
        return F.pixel_shuffle(self.predict(self.smooth(top)), self.factor)


class PretrainingModel(nn.Module):
    """A classifier whose own head predicts the part codes (22 logits, six groups), plus the
    decoder.
    """

    def __init__(self, model, size):
        super().__init__()
        self.model = model
        with torch.no_grad():
            maps, _ = self.features(torch.zeros(1, 3, size, size))
        self.decoder = PartDecoder(
            [m.shape[1] for m in maps], [m.shape[2] for m in maps], size // 2
        )

    def features(self, x):
        """Images (B, 3, H, W) -> (feature maps, finest first; embedding (B, C) that the classifier
        sees).
        """
        if hasattr(self.model, "feature_maps"):
            maps = self.model.feature_maps(x)
            return maps, maps[-1].mean((2, 3))
        tokens = self.model.forward_features(x)  # a ViT: class token first
        grid = tokens[:, 1:].transpose(1, 2).unflatten(2, self.model.patch_embed.grid_size)
        return [grid], tokens[:, 0]

    def forward(self, x):
        """Images (B, 3, H, W) -> (list of six part-code logits, part-map logits)."""
        maps, embedding = self.features(x)
        codes = self.model.get_classifier()(embedding).split(CODES_PER_PART, dim=1)
        return codes, self.decoder(maps)


# --- training ----------


def pretrain(config, out):
    """Train a nano model on rendered birds and write ``<out>/<model>.safetensors``; resumes from
    ``<out>/state.pt``.

    Args:
        config: `PretrainConfig`.
        out: run folder.

    Returns:
        dict of held-out figures: part-code accuracy, accuracy on the bird's pixels.
    """
    if config.model not in ("swin_nano", "vit_nano"):
        raise InputError(f"Pretraining is for swin_nano and vit_nano, not {config.model!r}.")
    with closing(RunFolder(out, config, resume=True)) as folder:
        return _pretrain(config, folder)


class Lesson:
    """What a model learns from: views of the pool's pictures, and the loss on them.

    Args:
        config: `PretrainConfig`. model: `PretrainingModel`. size: side of the views.
        device: of the model.
    """

    def __init__(self, config, model, size, device):
        self.config, self.model, self.size, self.device = config, model, size, device
        self.pool = picture_pool(config.pool, config.seed)
        self.weight = torch.full((len(PART_CLASSES),), 1.0, device=device)
        self.weight[0] = config.background_weight
        self.weight[[name.startswith("beak:") for name in PART_CLASSES]] = config.beak_weight
        self.part_weight = torch.tensor(
            [config.beak_weight if part == "beak" else 1.0 for part in PART_CODES], device=device
        )

    def views(self, indices, generator):
        """Random views of these pictures: images, part maps, part codes."""
        images, parts, boxes, codes = (
            torch.from_numpy(np.asarray(self.pool[name][indices]))
            for name in ("images", "parts", "boxes", "codes")
        )
        images, parts = images.to(self.device).permute(0, 3, 1, 2), parts.to(self.device)
        return *random_views(images, parts, boxes, self.size, generator), codes.to(self.device)

    def losses(self, views, parts, codes):
        """The loss, the logits of the codes, those of the part map."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            code_logits, part_logits = self.model(views)
        dense = F.cross_entropy(part_logits.float(), parts, weight=self.weight)
        # A part that the view does not show can't be named: it does not count.
        seen = visible_parts(parts) * self.part_weight
        each = torch.stack(
            [
                F.cross_entropy(c.float(), codes[:, i], reduction="none")
                for i, c in enumerate(code_logits)
            ],
            1,
        )
        code = (each * seen).sum() / seen.sum().clamp(min=1)
        return dense + self.config.code_weight * code, code_logits, part_logits

    @torch.no_grad()
    def figures(self, indices):
        """Accuracy of the visible parts' codes and of the bird's pixels, on pictures of the pool
        that are never trained on.
        """
        self.model.eval()
        hits, counts = torch.zeros(7), torch.zeros(7)
        generator = torch.Generator().manual_seed(0)
        for start in range(0, len(indices), 250):
            views, parts, codes = self.views(np.array(indices[start : start + 250]), generator)
            _, code_logits, part_logits = self.losses(views, parts, codes)
            right = torch.stack([c.argmax(1) for c in code_logits], 1) == codes
            seen, bird = visible_parts(parts), parts > 0
            hits += torch.cat(
                [(right & seen).sum(0), (part_logits.argmax(1) == parts)[bird].sum()[None]]
            ).cpu()
            counts += torch.cat([seen.sum(0), bird.sum()[None]]).cpu()
        share = [round(value, 4) for value in (hits / counts).tolist()]
        return {
            "part_code_accuracy": round((hits[:6].sum() / counts[:6].sum()).item(), 4),
            "bird_pixel_accuracy": share[6],
            **{f"{part}_accuracy": value for part, value in zip(PART_CODES, share)},
        }


def _pretrain(config, folder):
    seed_everything(config.seed)
    device, size = pick_device(config.device), 96
    train_count = config.pool - min(2000, config.pool // 10)
    held_out = range(train_count, config.pool)
    model = PretrainingModel(create_model(config.model, num_classes=len(CODE_NAMES)), size)
    model = model.to(device)
    if device.type == "cpu":
        # the backward pass of fused attention over 145 tokens takes twice as long there
        for module in (module for module in model.modules() if hasattr(module, "fused_attn")):
            module.fused_attn = False
    lesson = Lesson(config, model, size, device)
    groups = parameter_groups(model, config.lr, config.weight_decay)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    steps = config.images // config.batch_size
    schedule = Schedule(optimizer, steps, warmup=0.1 * steps)
    first = _resume(folder.path(STATE), model, optimizer, steps)
    text = {"desc": f"pretraining {config.model}", "unit": "step"}
    bar = tqdm(range(first, steps), initial=first, total=steps, **text)
    saved, average = time.time(), None
    for step in bar:
        model.train()
        # The step's own generator: a resumed run sees the same pictures as an uninterrupted one.
        generator = torch.Generator().manual_seed(config.seed * 10_000_000 + step)
        torch.manual_seed(config.seed * 10_000_000 + step)
        indices = torch.randint(train_count, (config.batch_size,), generator=generator)
        views = lesson.views(np.sort(indices.numpy()), generator)
        schedule.set(step)
        loss = lesson.losses(*views)[0]
        if not torch.isfinite(loss):
            raise InputError(
                f"The loss became {loss.item()} at step {step}; lower the learning rate "
                f"({config.lr})."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average = loss.item() if average is None else 0.99 * average + 0.01 * loss.item()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{average:.3f}")
        if step % 500 == 499 or step == steps - 1:
            figures = lesson.figures(held_out)
            folder.log({"step": step + 1, "loss": round(average, 4), **figures})
        if time.time() - saved >= SAVE_EVERY or step == steps - 1:
            saved = time.time()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            folder.save_state({**state, "step": step + 1}, STATE)
    if first == steps:  # it was stopped after its last step
        figures = lesson.figures(held_out)
    card = {
        "model": config.model,
        "kwargs": {},
        "classes": CODE_NAMES,
        "img_size": size,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "seed": config.seed,
        "data": f"{config.pool} rendered birds, each of another species, none of SketchBirds",
        "config": config.as_dict(),
        "figures": figures,
    }
    save_checkpoint(folder.path(f"{config.model}.safetensors"), model.model, card, half=True)
    return figures


def _resume(path, model, optimizer, steps):
    """Load what a run has saved, if there is such a file; returns the step to go on with."""
    if not path.exists():
        return 0
    try:
        check_parts_of_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return check_number("step", state["step"], 0, steps, whole=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: cannot be read ({type(error).__name__}); start again in another folder."
        ) from error
