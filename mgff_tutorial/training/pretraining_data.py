"""Pictures for pretraining: drawn birds of invented species, and random views of them with their
part maps.
"""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop
from tqdm.auto import tqdm

from ..renderer import VERSION, render
from ..renderer.species import PART_CLASSES, PART_CODES, pretraining_species
from ..support.paths import cache_dir

FIRST_SEED = 10_000_000  # SketchBirds and controlled experiments draw with smaller seeds
CODES_PER_PART = [len(options) for options in PART_CODES.values()]
CODE_NAMES = PART_CLASSES[
    -sum(CODES_PER_PART) :
]  # "beak:cone", ...: the classes of the pretrained models
HEAD_CLASSES = torch.tensor(
    [
        i
        for i, name in enumerate(PART_CLASSES)
        if name.partition(":")[0] in ("head", "beak", "crown", "eye")
    ]
)
# side of the stored pictures: a view cut around a bird of middle size is then still sharp at 96
POOL_SIZE = 192


def _draw(task):
    species, seed = task
    scene = render(species, seed, size=POOL_SIZE)
    return (
        np.asarray(scene.image),
        np.asarray(scene.part_map),
        np.asarray(scene.box, dtype=np.float32),
    )


def picture_pool(count, seed, workers=2):
    """Render ``count`` pictures of as many `pretraining_species` once, and keep them in the cache
    folder.

    Returns:
        dict of arrays: ``images`` (N, 192, 192, 3) uint8, ``parts`` (N, 192, 192) uint8 indices
        into ``PART_CLASSES``, ``boxes`` (N, 4) xyxy pixels, ``codes`` (N, 6) indices into
        ``PART_CODES``.
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
        np.save(
            folder / "codes.npy",
            np.array(
                [
                    [options.index(one.code(part)) for part, options in PART_CODES.items()]
                    for one in species
                ]
            ),
        )
        images.flush(), parts.flush()
        (folder / "done").touch()
    return {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("images", "parts", "boxes", "codes")
    }


def head_boxes(parts, least=40):
    """Boxes (B, 4) xyxy around the head with its beak, from part maps (B, S, S); none is smaller
    than ``least`` pixels.
    """
    mask = torch.isin(parts, HEAD_CLASSES.to(parts.device))
    edges = []
    for profile in (mask.any(1), mask.any(2)):  # columns, rows
        first = profile.int().argmax(1)
        last = parts.shape[-1] - profile.flip(1).int().argmax(1)
        edges += [first, last]
    left, right, top, bottom = (edge.float() for edge in edges)
    centre = torch.stack([left + right, top + bottom], 1) / 2
    extent = torch.stack([right - left, bottom - top], 1).clamp(min=least)
    return torch.cat([centre - extent / 2, centre + extent / 2], 1).cpu()


def random_views(images, parts, boxes, size, generator):
    """Views at three distances, cut out, resized, flipped and re-coloured at random.

    Four of ten show (nearly) the whole picture, as stage 1 sees it; four a loose rectangle around
    the bird, as stage 2 does; two are close to the head. What is small in the first two, above all
    the beak, is learned in the last.

    Args:
        images: (B, 3, S, S) uint8; parts: (B, S, S) class indices; boxes: (B, 4) xyxy pixels.
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
    distance = torch.rand(batch, 1, generator=generator)
    head = distance < 0.2
    boxes = torch.where(head, head_boxes(parts), boxes)
    corner, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    loose = (
        extent
        * torch.where(head, uniform(1.1, 2.5, 1), uniform(1.0, 1.6, 1))
        * uniform(0.9, 1.15, 2)
    )
    # Half of the close views are square, so that both croppers that keep the proportions and those
    # that do not are met.
    square = torch.rand(batch, 1, generator=generator) < 0.5
    loose = torch.where(square, loose.amax(1, keepdim=True), loose)
    centre = (
        corner
        + extent / 2
        + (torch.rand(batch, 2, generator=generator) - 0.5) * (loose - extent).abs()
    )
    close = torch.cat([centre - loose / 2, loose], 1)
    region = torch.where(distance < 0.6, close, whole)

    edges = (
        torch.cat([region[:, :2], region[:, :2] + region[:, 2:]], 1)
        .round()
        .clamp(0, side)
        .int()
        .tolist()
    )
    flips = (torch.rand(batch, generator=generator) < 0.5).tolist()
    views, maps = [], []
    for image, part, (left, top, right, bottom), flip in zip(images, parts[:, None], edges, flips):
        place = top, left, bottom - top, right - left
        view = resized_crop(image, *place, [size, size], antialias=True)
        part = resized_crop(part, *place, [size // 2, size // 2], InterpolationMode.NEAREST)
        views.append(view.flip(2) if flip else view)
        maps.append(part.flip(2) if flip else part)
    gain = uniform(0.8, 1.2, 1, 1, 1) * uniform(0.92, 1.08, 3, 1, 1) / 255
    views = torch.stack(views) * gain.to(images.device) + uniform(-0.08, 0.08, 1, 1, 1).to(
        images.device
    )
    return views.clamp(0, 1) * 2 - 1, torch.cat(maps).long()


def visible_parts(parts):
    """(B, 6) bool: which of the six coded parts a view shows, from its part map (B, H, W)."""
    flat = parts.flatten(1)
    first = len(PART_CLASSES) - len(CODE_NAMES)
    starts = [first + sum(CODES_PER_PART[:i]) for i in range(len(CODES_PER_PART))]
    return torch.stack(
        [((flat >= a) & (flat < a + n)).any(1) for a, n in zip(starts, CODES_PER_PART)], 1
    )
