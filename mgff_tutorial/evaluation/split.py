"""What a model says about every image of a split, each counted exactly once, by any number of
processes.
"""

import os
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Subset, TensorDataset
from tqdm.auto import tqdm

from ..support.device import pick_device
from ..support.errors import InputError, check_number
from ..support.images import full_scale, images_per_pass
from ..support.modes import evaluation_mode
from .boxes import BoxStore, describe
from .metrics import Predictions
from .predict import Predictor, finite

if TYPE_CHECKING:
    from ..cropper import ViTCropper
    from ..datasets import ImageDataset

# what launchers (torch's own, and those of MPI) set to the number of processes
WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


class Team:
    """The processes that ``accelerate launch`` or ``torchrun`` started, or just this one.

    Args:
        device: as in `pick_device`; each process gets a GPU of its own.
        state: of an `Accelerator` that is there already.

    Attributes:
        rank: of this process. processes: how many there are. is_first: whether this one decides.
    """

    def __init__(self, device="auto", state=None):
        if state is None and any(int(os.environ.get(name, 1)) > 1 for name in WORLD_SIZES):
            from accelerate import PartialState

            state = PartialState(cpu=pick_device(device).type == "cpu")
        self.rank, self.processes = (state.process_index, state.num_processes) if state else (0, 1)
        self.is_first = self.rank == 0

    def same(self, value):
        """The first process's value, on all of them."""
        if self.processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def first(self, action):
        """What ``action`` gives on the first process, None on the others; if it fails, all of them
        stop (or they would wait for ever).
        """
        result, failure = None, None
        if self.is_first:
            try:
                result = action()
            except (InputError, OSError) as error:
                failure = error
        message = self.same(failure and str(failure))
        if message:
            raise failure or InputError(message)
        return result

    def gather(self, items):
        """The items of all processes in one list, on all of them."""
        if self.processes == 1:
            return items
        from accelerate.utils import gather_object

        return gather_object(items)

    def share(self, items, size):
        """Every so-manieth group of ``size`` items: process 1 of 3 takes groups 1, 4, 7..."""
        items = iter(items)
        for number, group in enumerate(iter(lambda: list(islice(items, size)), [])):
            if number % self.processes == self.rank:
                yield from group

    def together(self, batches):
        """The batches of all processes in the order of the files; every process must go through
        them.
        """
        if self.processes == 1:
            yield from batches
            return
        while True:
            gathered = self.gather([next(batches, None)])
            yield from (batch for batch in gathered if batch is not None)
            if gathered[-1] is None:  # the last process runs out first
                return


@torch.inference_mode()
def predict_split(
    model,
    dataset,
    device,
    batch_size=64,
    workers=0,
    rank=0,
    processes=1,
    gather=None,
    autocast=None,
    progress=False,
):
    """Probabilities of a model for all images of a data set.

    Args:
        model: images (B, 3, S, S) to logits (B, K); put into evaluation mode here, and back.
        dataset: ``dataset[i]`` is (tensor, label); with ``labels`` and ``classes``.
        device: of the model.
        batch_size: images a pass; the result does not depend on it.
        workers: loader processes.
        rank, processes: this process, and how many share the work.
        gather: collects a list of objects from all processes (`accelerate.utils.gather_object`).
        autocast: a function that gives a context manager for mixed precision.
        progress: show a bar.

    Returns:
        `Predictions` of the whole split, the same on every process.

    Raises:
        InputError: the model's number of classes is not that of the data set.
    """
    check_number("batch_size", batch_size, 1, whole=True)
    check_number("workers", workers, 0, whole=True)
    share, chunks = range(rank, len(dataset), processes), []
    loader = DataLoader(Subset(dataset, share), batch_size=batch_size, num_workers=workers)
    bar = tqdm(
        total=len(share), desc="evaluating", unit=" images", leave=False, disable=not progress
    )
    with evaluation_mode(model), bar:
        for images, _ in loader:
            with autocast() if autocast else nullcontext():
                logits = model(images.to(device))
            if logits.shape[1] != len(dataset.classes):
                raise InputError(
                    f"The model tells {logits.shape[1]} classes apart, the data set has "
                    f"{len(dataset.classes)}."
                )
            chunks.append(finite(logits.float().softmax(1)).cpu().numpy())
            bar.update(len(images))
    mine = [(np.array(share), np.concatenate(chunks))] if chunks else []
    return collect(mine if gather is None or processes == 1 else gather(mine), dataset)


def collect(shares, dataset):
    """Put the shares of all processes in the order of the split.

    Args:
        shares: list of (positions (n,), probabilities (n, K)).
        dataset: with ``labels`` and ``classes``.

    Raises:
        RuntimeError: an image is missing or was counted twice.
    """
    positions = np.concatenate([share[0] for share in shares]) if shares else np.zeros(0, int)
    if not np.array_equal(np.sort(positions), np.arange(len(dataset))):
        raise RuntimeError(
            f"{len(positions)} predictions ({len(np.unique(positions))} of them different) for "
            f"{len(dataset)} images: each must be counted exactly once."
        )
    probabilities = np.zeros((len(dataset), len(dataset.classes)), dtype=np.float32)
    for place, values in shares:
        probabilities[place] = values
    return Predictions(probabilities, dataset.labels, list(dataset.classes))


class TensorImages(TensorDataset):
    """A small data set whose transformed images are kept: the validation split is looked at every
    epoch.
    """

    def __init__(self, dataset):
        self.labels, self.classes = list(dataset.labels), list(dataset.classes)
        images = torch.stack([dataset[i][0] for i in range(len(dataset))])
        super().__init__(images, torch.tensor(self.labels))


def evaluate(
    classifier: torch.nn.Module,
    dataset: "ImageDataset",
    cropper: "ViTCropper | None" = None,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool = False,
) -> dict[str, Predictions]:
    """Accuracy of a trained classifier, in one stage or in two; shared by all processes of
    ``accelerate launch``.

    Args:
        classifier: from `prediction.load_classifier`: a module with ``.card``.
        dataset: an `ImageDataset` without transform.
        cropper: a `ViTCropper` for two stages, or None.
        batch_size: images a pass.
        workers: loader processes (one stage).
        progress: show a bar.

    Returns:
        dict of `Predictions`: ``"stage 1"``, and with a cropper also ``"stage 2"`` and
            ``"merged"``.

    Raises:
        InputError: the data set's classes are not the classifier's.
    """
    check_number("batch_size", batch_size, 1, whole=True)
    check_number("workers", workers, 0, whole=True)
    check_classes(classifier.card["classes"], dataset.classes)
    device = next(classifier.parameters()).device
    team, predictor = Team(device.type), Predictor(classifier, cropper)
    dataset = dataset.subset(range(len(dataset)), dataset.transform)
    dataset.least = predictor.least
    if cropper is None:
        whole = dataset.subset(range(len(dataset)), predictor.transform)
        return {
            "stage 1": predict_split(
                classifier,
                whole,
                device,
                batch_size,
                workers,
                team.rank,
                team.processes,
                team.gather,
                progress=progress,
            )
        }
    shares = team.gather(
        [_two_stage_share(predictor.two_stage, dataset, batch_size, team, progress)]
    )
    return {
        name: collect(
            [(positions, values[stage]) for positions, values in shares if len(positions)], dataset
        )
        for stage, name in enumerate(("stage 1", "stage 2", "merged"))
    }


def _two_stage_share(two_stage, dataset, batch_size, team, progress):
    """(positions (n,), three arrays (n, K)) of one process."""
    positions, found = range(team.rank, len(dataset), team.processes), []
    # the ViT looks at an image once, not in every run
    store = BoxStore(dataset, describe(two_stage.cropper), part=team.rank)
    bar = tqdm(
        total=len(positions), desc="two stages", unit=" images", leave=False, disable=not progress
    )
    with store, bar:
        for indices in BatchSampler(positions, batch_size, drop_last=False):
            images = [dataset.image(i) for i in indices]
            scales = torch.tensor([2 * full_scale(image) for image in images])
            known = store.known(indices)
            here = known if known is None else known / scales
            result = two_stage.predict(images, min(batch_size, images_per_pass(images)), here)
            if known is None:
                store.add(indices, result.boxes.cpu() * scales)
            found.append(
                [
                    values.float().cpu().numpy()
                    for values in (result.stage1, result.stage2, result.merged)
                ]
            )
            bar.update(len(indices))
    return np.array(positions, dtype=int), [np.concatenate(stage) for stage in zip(*found)]


def check_classes(expected, classes):
    """Raise `InputError` unless the data set has the classifier's classes, in the same order."""
    expected, classes = list(expected), list(classes)
    if expected == classes:
        return
    if len(expected) != len(classes):
        raise InputError(
            f"The classifier tells {len(expected)} classes apart, the data set has {len(classes)}; "
            "choose the data set that it was trained on."
        )
    place = next(i for i, (a, b) in enumerate(zip(expected, classes)) if a != b)
    raise InputError(
        f"The classifier's class {place} is {expected[place]!r}, the data set's is "
        f"{classes[place]!r}; "
        "choose the data set that it was trained on."
    )


def public_card(card):
    """A card without what belongs to one machine: folders, device, claims of the unrounded
    weights.
    """
    left_out = ("format", "version", "accuracy", "correct", "count", "two_stage", "split")
    card = {key: value for key, value in card.items() if key not in left_out}
    if isinstance(card.get("recipe"), dict):
        own = ("out", "root", "cache", "device", "workers", "save_seconds", "tensorboard")
        card["recipe"] = {key: value for key, value in card["recipe"].items() if key not in own}
        for key in ("pretrained", "cropper"):
            if isinstance(card["recipe"].get(key), str):
                card["recipe"][key] = Path(card["recipe"][key]).name
    return card


def claims(card, data, split, cropper=None):
    """What a card claims of a measurement, as {stage: (correct, count)}; empty if nothing.

    Args:
        card: of the checkpoint. data, split: what is measured.
        cropper: dict of ``cropper``, ``rule`` and ``tau`` in two stages, else None.
    """
    elsewhere = card.get("split", "test") != split or data != card.get("data")
    if elsewhere or "correct" not in card:
        return {}
    found = {"stage 1": (card["correct"], card["count"])}
    two = {"rule": "default", **card.get("two_stage", {})}
    if (
        cropper
        and two.get("correct") is not None
        and all(two.get(key) == cropper[key] for key in cropper)
    ):
        found["merged"] = (two["correct"], two["count"])
    return found
