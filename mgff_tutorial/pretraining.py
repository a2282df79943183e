"""Pretraining of the nano models on drawn birds of other species, the counterpart of ImageNet pretraining.

Small attention models stay at chance when image labels are all they get from 2 cores' worth of training. The
renderer knows more: which part every pixel shows, and in which variant. A light decoder predicts this part map from
the feature maps, and the model's own head predicts the variant of each of the six parts from the pooled features;
so the models leave chance within minutes. The decoder is thrown away afterwards; the model is what is kept.

Every picture shows a species of its own, invented for it, and never one of SketchBirds (`pretraining_species`). With
a few hundred species seen again and again, a model learns them by their colours and reads the parts off its memory:
on the species of such a run 98 % of the part codes were right, on new ones 44 %.
"""

import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from .checkpoints import save_checkpoint
from .device import pick_device, seed_everything
from .errors import InputError
from .files import atomic_file
from .paths import cache_dir
from .recipe import parameter_groups
from .renderer import VERSION, render
from .renderer.species import PART_CLASSES, PART_CODES, pretraining_species

FIRST_SEED = 10_000_000  # SketchBirds and controlled experiments draw with smaller seeds
CODES_PER_PART = [len(options) for options in PART_CODES.values()]
CODE_NAMES = PART_CLASSES[-sum(CODES_PER_PART):]  # "beak:cone", ...: the classes of the pretrained models
POOL_SIZE = 144  # side of the stored pictures: crops of 96 then still have detail


@dataclass
class PretrainConfig:
    """What `pretrain` needs; the checkpoint's card stores all of it."""

    model: str = "swin_nano"
    seed: int = 0
    pool: int = 32_000  # pictures rendered once, each of another species
    images: int = 400_000  # pictures trained on, views of the pool
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    code_weight: float = 1.0
    beak_weight: float = 1.0  # of the beak in both losses: its shape is the last thing that small models learn
    start: str | None = None  # state.pt of a finished run to go on from, with a learning-rate cycle of its own
    background_weight: float = 0.2  # most pixels are background: without this the parts are drowned
    device: str = "auto"
    bf16: bool = True


# --- the pool of pictures ---------------------------------------------------------------------------------------


def _draw(task):
    species, seed = task
    scene = render(species, seed, size=POOL_SIZE)
    return np.asarray(scene.image), np.asarray(scene.part_map), np.asarray(scene.box, dtype=np.float32)


def picture_pool(count, seed, workers=2):
    """Render ``count`` pictures of as many `pretraining_species` once, and keep them in the cache folder.

    Returns:
        dict of arrays: ``images`` (N, 144, 144, 3) uint8, ``parts`` (N, 144, 144) uint8 indices into ``PART_CLASSES``,
        ``boxes`` (N, 4) xyxy pixels, ``codes`` (N, 6) indices into ``PART_CODES``.
    """
    folder = cache_dir() / "pretraining" / f"v{VERSION}-{POOL_SIZE}px-seed{seed}-{count}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        species = pretraining_species(count, seed=seed, per_genus=1)
        shape = (count, POOL_SIZE, POOL_SIZE)
        images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (*shape, 3))
        parts = np.lib.format.open_memmap(folder / "parts.npy", "w+", np.uint8, shape)
        boxes = np.zeros((count, 4), np.float32)
        tasks = ((one, FIRST_SEED + seed * 1_000_000 + i) for i, one in enumerate(species))
        with ProcessPoolExecutor(workers) as processes:
            drawn = processes.map(_draw, tasks, chunksize=64)
            for i, scene in enumerate(tqdm(drawn, total=count, desc="rendering", unit="picture")):
                images[i], parts[i], boxes[i] = scene
        np.save(folder / "boxes.npy", boxes)
        np.save(folder / "codes.npy", np.array([[options.index(one.code(part)) for part, options in PART_CODES.items()]
                                                for one in species]))
        images.flush(), parts.flush()
        (folder / "done").touch()
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "parts", "boxes", "codes")}


def random_views(images, parts, boxes, size, generator):
    """Views of 96 x 96: half show (nearly) the whole picture, half a loose rectangle around the bird, as stage 2 sees it.

    Args:
        images: (B, 3, S, S) in [0, 1]; parts: (B, S, S) class indices; boxes: (B, 4) xyxy pixels.
        size: side of the views.
        generator: CPU generator of the randomness.

    Returns:
        images (B, 3, size, size) in [-1, 1] and parts (B, size // 2, size // 2).
    """
    batch, _, side, _ = images.shape

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(batch, *shape, generator=generator)

    scale = uniform(0.75, 1.0, 1).expand(-1, 2) * side
    whole = torch.cat([torch.rand(batch, 2, generator=generator) * (side - scale), scale], 1)
    corner, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    loose = extent * uniform(1.0, 1.6, 1) * uniform(0.9, 1.15, 2)
    # Half of the close views are square, so that both croppers that keep the proportions and those that do not are met.
    square = torch.rand(batch, 1, generator=generator) < 0.5
    loose = torch.where(square, loose.amax(1, keepdim=True), loose)
    centre = corner + extent / 2 + (torch.rand(batch, 2, generator=generator) - 0.5) * (loose - extent).abs()
    close = torch.cat([centre - loose / 2, loose], 1)
    region = torch.where(torch.rand(batch, 1, generator=generator) < 0.5, whole, close)

    flip = torch.where(torch.rand(batch, generator=generator) < 0.5, -1.0, 1.0)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0] = region[:, 2] / side * flip
    theta[:, 1, 1] = region[:, 3] / side
    theta[:, :, 2] = 2 * (region[:, :2] + region[:, 2:] / 2) / side - 1
    theta = theta.to(images.device)

    grid = F.affine_grid(theta, (batch, 3, size, size), align_corners=False)
    views = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    gain = (uniform(0.8, 1.2, 1, 1, 1) * uniform(0.92, 1.08, 3, 1, 1)).to(images.device)
    views = (views * gain + uniform(-0.08, 0.08, 1, 1, 1).to(images.device)).clamp(0, 1) * 2 - 1

    grid = F.affine_grid(theta, (batch, 1, size // 2, size // 2), align_corners=False)
    parts = F.grid_sample(parts[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return views, parts[:, 0].long()


# --- the model with its supervision ------------------------------------------------------------------------------


class PartDecoder(nn.Module):
    """Feature maps to a part map, top down: coarse maps say what, fine maps say where (a feature pyramid).

    Args:
        channels: channels of the maps, finest first.
        grids: side of each map.
        out_size: side of the predicted part map.
        dim: width of the decoder, kept small so that the backbone has to do the work.
    """

    def __init__(self, channels, grids, out_size, classes=len(PART_CLASSES), dim=96):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, dim, 1) for c in channels)
        self.smooth = nn.Sequential(nn.GELU(), nn.Conv2d(dim, dim, 3, padding=1), nn.GELU())
        self.factor = out_size // grids[0]
        self.predict = nn.Conv2d(dim, classes * self.factor**2, 1)

    def forward(self, maps):
        """Maps of (B, C_i, H_i, W_i), finest first -> logits (B, classes, out_size, out_size)."""
        top = self.lateral[-1](maps[-1])
        for conv, finer in zip(list(self.lateral)[-2::-1], maps[-2::-1]):
            top = F.interpolate(top, size=finer.shape[-2:], mode="nearest") + conv(finer)
        return F.pixel_shuffle(self.predict(self.smooth(top)), self.factor)


class PretrainingModel(nn.Module):
    """A classifier whose own head predicts the part codes (22 logits, six groups), plus the decoder."""

    def __init__(self, model, size):
        super().__init__()
        self.model = model
        with torch.no_grad():
            maps, _ = self.features(torch.zeros(1, 3, size, size))
        self.decoder = PartDecoder([m.shape[1] for m in maps], [m.shape[2] for m in maps], size // 2)

    def features(self, x):
        """Images (B, 3, H, W) -> (feature maps, finest first; embedding (B, C) that the classifier sees)."""
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


# --- training ------------------------------------------------------------------------------------------------------


def one_cycle(step, steps, warm_up=0.1):
    """Learning-rate factor: linear to 1 during ``warm_up`` of the steps, then half a cosine to 0."""
    if step < warm_up * steps:
        return (step + 1) / (warm_up * steps)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up * steps) / (steps * (1 - warm_up))))


def pretrain(config, out):
    """Train a nano model on rendered birds and write ``<out>/<model>.safetensors``; resumes from ``<out>/state.pt``.

    Args:
        config: `PretrainConfig`.
        out: run folder.

    Returns:
        dict of held-out figures: part-code accuracy, accuracy on the bird's pixels.
    """
    from .models import create_model

    if config.model not in ("swin_nano", "vit_nano"):
        raise InputError(f"Pretraining is for swin_nano and vit_nano, not {config.model!r}.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    seed_everything(config.seed)
    device, size = pick_device(config.device), 96
    pool = picture_pool(config.pool, config.seed)
    held_out = min(2000, config.pool // 10)
    train_count = config.pool - held_out
    model = PretrainingModel(create_model(config.model, num_classes=len(CODE_NAMES)), size).to(device)
    optimizer = torch.optim.AdamW(parameter_groups(model, config.lr, config.weight_decay), betas=(0.9, 0.98))
    weight = torch.full((len(PART_CLASSES),), 1.0, device=device)
    weight[0] = config.background_weight
    weight[[name.startswith("beak:") for name in PART_CLASSES]] = config.beak_weight
    part_weight = [config.beak_weight if part == "beak" else 1.0 for part in PART_CODES]
    steps, first = config.images // config.batch_size, 0
    state_file = out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    elif config.start:
        model.load_state_dict(torch.load(config.start, map_location="cpu", weights_only=True)["model"])

    def batch_of(indices):
        images = torch.from_numpy(pool["images"][indices]).to(device).permute(0, 3, 1, 2).float() / 255
        parts, boxes = torch.from_numpy(pool["parts"][indices]).to(device), torch.from_numpy(pool["boxes"][indices])
        return images, parts, boxes, torch.from_numpy(np.asarray(pool["codes"][indices])).to(device)

    def losses(views, parts, codes):
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            code_logits, part_logits = model(views)
        dense = F.cross_entropy(part_logits.float(), parts, weight=weight)
        code = sum(w * F.cross_entropy(c.float(), codes[:, i]) for i, (c, w) in enumerate(zip(code_logits, part_weight)))
        code = code / sum(part_weight)
        return dense + config.code_weight * code, code_logits, part_logits

    log = open(out / "log.jsonl", "a")
    bar = tqdm(range(first, steps), initial=first, total=steps, desc=f"pretraining {config.model}", unit="step")
    saved, average = time.time(), None
    for step in bar:
        model.train()
        # The step's own generator: a resumed run sees the same pictures as an uninterrupted one.
        generator = torch.Generator().manual_seed(config.seed * 10_000_000 + step)
        torch.manual_seed(config.seed * 10_000_000 + step)
        indices = np.sort(torch.randint(train_count, (config.batch_size,), generator=generator).numpy())
        images, parts, boxes, codes = batch_of(indices)
        views, parts = random_views(images, parts, boxes, size, generator)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * one_cycle(step, steps)
        loss = losses(views, parts, codes)[0]
        if not torch.isfinite(loss):
            raise InputError(f"The loss became {loss.item()} at step {step}; lower the learning rate ({config.lr}).")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average = loss.item() if average is None else 0.99 * average + 0.01 * loss.item()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{average:.3f}")
        if step % 500 == 499 or step == steps - 1:
            figures = _held_out(model, losses, batch_of, range(train_count, config.pool), size)
            log.write(json.dumps({"step": step + 1, "loss": round(average, 4), **figures}) + "\n")
            log.flush()
        if time.time() - saved > 120 or step == steps - 1:
            saved = time.time()
            with atomic_file(state_file) as stream:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, stream)
    save_checkpoint(out / f"{config.model}.safetensors", model.model, {
        "model": config.model, "kwargs": {}, "classes": CODE_NAMES, "img_size": size, "mean": [0.5] * 3, "std": [0.5] * 3,
        "seed": config.seed, "data": f"{config.pool} rendered birds, each of another species, none of SketchBirds",
        "config": asdict(config), "figures": figures}, half=True)
    return figures


@torch.no_grad()
def _held_out(model, losses, batch_of, indices, size):
    """Part-code and bird-pixel accuracy on pictures of the pool that are never trained on."""
    model.eval()
    hits, counts = np.zeros(2), np.zeros(2)
    generator = torch.Generator().manual_seed(0)
    for start in range(indices.start, indices.stop, 250):
        images, parts, boxes, codes = batch_of(np.arange(start, min(start + 250, indices.stop)))
        views, parts = random_views(images, parts, boxes, size, generator)
        _, code_logits, part_logits = losses(views, parts, codes)
        bird = parts > 0
        hits += [sum((c.argmax(1) == codes[:, i]).sum().item() for i, c in enumerate(code_logits)),
                 (part_logits.argmax(1) == parts)[bird].sum().item()]
        counts += [codes.numel(), bird.sum().item()]
    names = ("part_code_accuracy", "bird_pixel_accuracy")
    return {name: round(value, 4) for name, value in zip(names, (hits / counts).tolist())}
