"""The images of a run, and training batches whose content depends on (seed, epoch, index) only,
from files or from memory.
"""

from contextlib import suppress

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import functional as ops
from tqdm.auto import tqdm

from ..datasets import CachedImages, split_validation
from ..datasets.transforms import enough_pixels, eval_transform, model_config, train_transform
from ..evaluation.boxes import find_boxes
from ..evaluation.predict import load_cropper
from ..evaluation.split import TensorImages
from ..support.errors import CheckpointError, DataError, InputError
from ..support.images import full_scale, image_geometry, reduced_size
from .seeding import epoch_order, fixed_randomness, mixed_seed, uniforms

MEMORY_LIMIT = 4 * 2**30  # bytes of pixels that in_memory may keep


class RunData:
    """The training, validation and test images of a run, and the plan of its batches.

    Args:
        config: a `TrainConfig`.
        train_set, test_set: `ImageDataset` objects, without transform.
        model: whose mean and std the images are normalised with.
        team: the processes of the run, a `Team`.
        progress: show a bar while images are decoded into memory.

    Attributes:
        plan: `BatchPlan`. val_set, test_set: with the transform of testing; ``val_set`` is None
            without validation.
        cropper: `ViTCropper` of the close views, or None. known, held: training and validation
            images without transform; ``held`` is None without validation.
        classes: names. stats: dict of ``mean`` and ``std``. memory: `MemoryImages`, or None.
    """

    def __init__(self, config, train_set, test_set, model, team, progress=False):
        self.config, self.classes, self.memory = config, list(train_set.classes), None
        if list(test_set.classes) != self.classes:
            raise InputError("The training and test splits have different classes.")
        self.stats = {key: list(model_config(model)[key]) for key in ("mean", "std")}
        self.cropper = cropper_for(config) if config.close_views else None
        whole = eval_transform(config.img_size, config.resize, **self.stats)
        if config.cache and not config.in_memory:
            train_set, test_set = (
                CachedImages(split, config.cache, config.resize) for split in (train_set, test_set)
            )
        rest, held = range(len(train_set)), []
        if config.validation:
            rest, held = split_validation(train_set, config.validation, config.seed)
        self.known = train_set.subset(rest)
        self.held = train_set.subset(held) if held else None
        self.val_set = train_set.subset(held, whole) if held else None
        self.test_set = test_set.subset(range(len(test_set)), whole)
        for split in filter(None, (self.val_set, self.test_set)):
            split.least = enough_pixels(config.img_size, config.resize)
        self.plan = BatchPlan(
            len(rest),
            config.batch_size,
            config.epochs,
            config.seed,
            config.micro_batch,
            team.rank,
            team.processes,
        )
        if config.mixup or config.cutmix:
            self._check_pairs(team.processes)
        look = {"crop": config.crop, "scale": tuple(config.scale)}
        change = {"flip": 0.5 * config.flip, "colour_jitter": config.jitter, **self.stats}
        views = train_transform(config.img_size, config.resize, **look, **change)
        self.train_set = train_set.subset(rest, views)
        self.train_set.least = enough_pixels(0, config.resize)
        if config.in_memory:
            check_memory(self.train_set)
            check_images(self.test_set, progress)
            self.memory = MemoryImages(
                self.train_set,
                config.img_size,
                config.resize,
                flip=config.flip,
                jitter=config.jitter,
                close_views=config.close_views,
                seed=config.seed,
                progress=progress,
                **look,
                **self.stats,
            )
            self.val_set = TensorImages(self.val_set) if held else None
        if config.close_views:  # boxes found by the processes together, or stored by an earlier run
            boxes = find_boxes(
                self.train_set,
                # every training image shows its class: a box is wanted in each
                cropper_for(config, presence=False),
                self.memory and self.memory.images,
                self.memory and self.memory.scales,
                rank=team.rank,
                processes=team.processes,
                gather=team.gather,
                progress=progress,
            )
            if self.memory:
                self.memory.boxes = boxes / self.memory.scales
            else:  # all of what was cut out
                close = train_transform(config.img_size, config.img_size, **change)
                self.train_set = CloseViews(self.train_set, boxes, config.close_views, close)

    def _check_pairs(self, processes):
        """Refuse, before anything is written, what timm's mixup would refuse in the first pass."""
        share, micro = self.plan.batch_size // processes, self.plan.micro_batch
        odd = [size for size in (micro, share % micro) if size % 2]
        if odd:
            raise InputError(
                f"mixup and cutmix pair the images of a pass: choose an even batch, got {odd[0]}."
            )

    def batches(self, device):
        """Iterate (images, labels) for every pass that `plan` still has ahead."""
        if self.memory:
            return (self.memory.batch(places, device) for places in self.plan)
        return DataLoader(
            SeededImages(self.train_set, self.config.seed),
            batch_sampler=self.plan,
            num_workers=self.config.workers,
            pin_memory=device.type == "cuda",
            worker_init_fn=_one_thread,
        )


def check_memory(dataset):
    """Refuse images that would need more than `MEMORY_LIMIT` decoded, from their headers alone.

    Args:
        dataset: an `ImageDataset`.

    Raises:
        InputError: says how much, and what to do.
    """
    held = 0
    for path in getattr(dataset, "paths", ()):  # a data set of the user's own may have no files
        with suppress(DataError):  # a broken one is said when it is decoded
            width, height = reduced_size(image_geometry(path)[0], dataset.least)
            held += 3 * width * height
    if held > MEMORY_LIMIT:
        raise InputError(
            f"in_memory: the {len(dataset):,} training images would need {held / 2**30:.1f} GB "
            f"decoded, more than {MEMORY_LIMIT / 2**30:.0f} GB; read them from their files "
            "(--set in_memory=false, with --workers for the processor's cores)."
        )


def check_images(dataset, progress=False):
    """Open each image once: a broken one in the test is to be known before the training, not after
    it.
    """
    for index in tqdm(
        range(len(dataset)), desc="test images", unit=" images", leave=False, disable=not progress
    ):
        dataset.image(index)


def cropper_for(config, **options):
    """The `ViTCropper` that a configuration names.

    Raises:
        CheckpointError: its weights cannot be had; the message says what can be done.
    """
    try:
        return load_cropper(config.cropper, config.device, config.cropper_size, **options)
    except CheckpointError as error:
        raise CheckpointError(
            f"{str(error).rstrip('.')}; or train without views around the object: "
            "--set close_views=0."
        ) from None


def _one_thread(_):
    """Workers share the cores; more threads each would only get in each other's way."""
    torch.set_num_threads(1)


class BatchPlan(Sampler):
    """Which images each pass of a process takes, from one update of the run to its end.

    An update takes ``batch_size`` images; the processes share them, and each goes through its share
    in passes of ``micro_batch`` (gradient accumulation). The last incomplete batch of an epoch is
    left out.

    Args:
        size: number of training images.
        batch_size: images per update over all processes.
        epochs: epochs of the run.
        seed: of the order.
        micro_batch: images per pass and process; all of the share if None.
        rank, processes: this process, and how many there are.

    Iterating yields lists of (epoch, index), from update ``first_step`` on.

    Raises:
        InputError: no images, or a batch that cannot be shared evenly.
    """

    def __init__(self, size, batch_size, epochs, seed, micro_batch=None, rank=0, processes=1):
        if size < processes:
            raise InputError(
                f"The training split has {size} images; at least {processes} are needed."
            )
        if batch_size % processes:
            raise InputError(
                f"batch_size must be a multiple of the {processes} processes, got {batch_size}."
            )
        self.size, self.epochs, self.seed, self.rank, self.processes = (
            size,
            epochs,
            seed,
            rank,
            processes,
        )
        self.batch_size = min(batch_size, size - size % processes)
        self.steps_per_epoch = size // self.batch_size
        self.total_steps = epochs * self.steps_per_epoch
        share = self.batch_size // processes
        self.micro_batch = min(micro_batch or share, share)
        self.passes = -(-share // self.micro_batch)
        self.first_step = 0

    def step_batch(self, step):
        """All (epoch, index) pairs of one update, over all processes."""
        epoch, batch = divmod(step, self.steps_per_epoch)
        order = epoch_order(self.size, self.seed, epoch)
        return [
            (epoch, int(i)) for i in order[batch * self.batch_size : (batch + 1) * self.batch_size]
        ]

    def __iter__(self):
        for step in range(self.first_step, self.total_steps):
            share = self.step_batch(step)[self.rank :: self.processes]
            for start in range(0, len(share), self.micro_batch):
                yield share[start : start + self.micro_batch]

    def __len__(self):
        return (self.total_steps - self.first_step) * self.passes


class SeededImages(Dataset):
    """A data set indexed by (epoch, index), whose random transforms are seeded for each item.

    Args:
        dataset: ``dataset[i]`` is (tensor, label), with random transforms inside.
        seed: of the run.
    """

    def __init__(self, dataset, seed):
        self.dataset, self.seed = dataset, seed

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, place):
        epoch, index = place
        with fixed_randomness(mixed_seed(self.seed, epoch, index)):
            return self.dataset[index]


class CloseViews(Dataset):
    """A data set of which some views are cut around an object, as stage 2 sees it: `MemoryImages`
    from files.

    Args:
        dataset: ``dataset[i]`` is (tensor, label); with ``image(i)`` (PIL) and ``labels``.
        boxes: (N, 4) xyxy pixels.
        share: of the views that are cut.
        transform: of what was cut out.
    """

    def __init__(self, dataset, boxes, share, transform):
        self.dataset, self.boxes, self.share, self.transform = dataset, boxes, share, transform

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        draw = torch.rand(5).tolist()
        if draw[4] >= self.share:
            return self.dataset[index]
        image = self.dataset.image(index)
        box = self.boxes[index] / np.array(2 * full_scale(image))
        top, left, height, width = _close_window(box, (image.height, image.width), draw)
        return self.transform(
            image.crop((left, top, left + width, top + height))
        ), self.dataset.labels[index]


class MemoryImages:
    """All images of a small data set, decoded once; batches are cut, resized, flipped and coloured
    from there.

    Args:
        dataset: with ``image(i)`` (PIL) and ``labels``.
        img_size, resize, crop, scale, flip, jitter, close_views: as in `TrainConfig`; the close
            views are cut around ``boxes``, an (N, 4) array to be set before.
        mean, std: of the model, three numbers each.
        seed: of the run.

    See `check_memory` for how many.
    """

    def __init__(
        self,
        dataset,
        img_size,
        resize,
        crop="resized",
        scale=(0.3, 1.0),
        flip=True,
        jitter=0.0,
        close_views=0.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        seed=0,
        progress=False,
    ):
        self.img_size, self.resize, self.crop, self.scale = img_size, resize, crop, scale
        self.flip, self.jitter, self.close_views, self.seed, self.boxes = (
            flip,
            jitter,
            close_views,
            seed,
            None,
        )
        self.mean, self.std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (mean, std))
        self.labels = torch.as_tensor(dataset.labels)
        self.images, scales = [], []
        for index in tqdm(
            range(len(dataset)), desc="decoding", unit=" images", leave=False, disable=not progress
        ):
            image = dataset.image(index)
            scales.append(2 * full_scale(image))
            self.images.append(ops.pil_to_tensor(image).contiguous())
        self.scales = np.array(scales)  # (N, 4): from pixels here to those of the whole images

    def __len__(self):
        return len(self.images)

    def batch(self, places, device="cpu"):
        """(images (B, 3, S, S) float32 normalised, labels (B,)) on ``device`` for a list of (epoch,
        index).
        """
        numbers = np.stack([uniforms(9, self.seed, epoch, index) for epoch, index in places])
        size = [self.img_size, self.img_size]
        cut = [
            ops.resized_crop(self.images[index], *self._view(index, draw), size, antialias=True)
            for (_, index), draw in zip(places, numbers)
        ]
        images = torch.stack(cut).to(device).float().div_(255)
        numbers = torch.from_numpy(numbers).float().to(device)
        if self.flip:
            images = torch.where(numbers[:, 4, None, None, None] < 0.5, images.flip(3), images)
        if self.jitter:
            images = jitter_colours(images, 1 + self.jitter * (2 * numbers[:, 5:8] - 1))
        images = (images - self.mean.to(device)) / self.std.to(device)
        return images, self.labels[[index for _, index in places]].to(device)

    def _view(self, index, draw):
        """(top, left, height, width) in pixels of the part of an image to keep, around its object
        or anywhere.
        """
        shape = self.images[index].shape[1:]
        if self.boxes is not None and draw[8] < self.close_views:
            return _close_window(self.boxes[index], shape, draw)
        return self._window(shape, draw)

    def _window(self, shape, draw):
        """(top, left, height, width) in pixels of a random part, from random numbers."""
        if self.crop == "random":
            high = wide = self.img_size / self.resize
        else:
            area = self.scale[0] + (self.scale[1] - self.scale[0]) * draw[0]
            stretch = (4 / 3) ** (
                draw[1] - 0.5
            )  # width : height from 3:4 to 4:3, as in torchvision
            wide, high = min(1.0, area**0.5 * stretch), min(1.0, area**0.5 / stretch)
        height, width = (
            max(1, round(float(share) * side)) for share, side in zip((high, wide), shape)
        )
        return (
            int(draw[2] * (shape[0] - height + 1)),
            int(draw[3] * (shape[1] - width + 1)),
            height,
            width,
        )


def _close_window(box, shape, draw):
    """(top, left, height, width) of a window 0.9 to 1.4 times as wide as a box, shifted by up to a
    tenth of it.
    """

    def along(low, high, side, shift):
        half = (0.45 + 0.25 * draw[0]) * (high - low)
        middle = (low + high) / 2 + 0.2 * (shift - 0.5) * (high - low)
        first = int(max(0, min(round(middle - half), side - 2)))
        return first, min(side - first, max(2, int(round(middle + half)) - first))

    top, height = along(box[1], box[3], shape[0], draw[2])
    left, width = along(box[0], box[2], shape[1], draw[3])
    return top, left, height, width


def jitter_colours(images, factors):
    """Change brightness, contrast and saturation of each image.

    Args:
        images: (B, 3, H, W) in [0, 1].
        factors: (B, 3), one factor for each of the three; 1 leaves the image as it is.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    brightness, contrast, saturation = (factors[:, i, None, None, None] for i in range(3))
    luma = images.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    images = (images * brightness).clamp(0, 1)
    mean_grey = (images * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    images = (mean_grey + (images - mean_grey) * contrast).clamp(0, 1)
    grey = (images * luma).sum(1, keepdim=True)
    return (grey + (images - grey) * saturation).clamp(0, 1)
