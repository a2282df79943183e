"""What a model says about every image of a split, each counted exactly once, by any number of
processes.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..support.errors import InputError, check_number
from .metrics import Predictions


class _Numbered(Dataset):
    """The share of one process: (position in the split, tensor)."""

    def __init__(self, dataset, positions):
        self.dataset, self.positions = dataset, positions

    def __len__(self):
        return len(self.positions)

    def __getitem__(self, i):
        position = self.positions[i]
        return position, self.dataset[position][0]


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
    from contextlib import nullcontext

    from tqdm.auto import tqdm

    check_number("batch_size", batch_size, 1, whole=True)
    check_number("workers", workers, 0, whole=True)
    share = _Numbered(dataset, list(range(rank, len(dataset), processes)))
    loader = DataLoader(share, batch_size=batch_size, num_workers=workers)
    places, chunks = [], []
    training = model.training
    model.eval()
    try:
        with tqdm(
            total=len(share), desc="evaluating", unit=" images", leave=False, disable=not progress
        ) as bar:
            for positions, images in loader:
                with autocast() if autocast else nullcontext():
                    logits = model(images.to(device))
                if logits.shape[1] != len(dataset.classes):
                    raise InputError(
                        f"The model tells {logits.shape[1]} classes apart, the data set has "
                        f"{len(dataset.classes)}."
                    )
                chunks.append(logits.float().softmax(1).cpu().numpy())
                places.append(positions.numpy())
                bar.update(len(images))
    finally:
        model.train(training)
    mine = [(np.concatenate(places), np.concatenate(chunks))] if places else []
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


class TensorImages(Dataset):
    """A small data set whose transformed images are kept: the validation split is looked at every
    epoch.
    """

    def __init__(self, dataset):
        self.labels, self.classes = list(dataset.labels), list(dataset.classes)
        self.images = [dataset[i][0] for i in range(len(dataset))]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def evaluate(classifier, dataset, cropper=None, batch_size=32, workers=0, progress=False):
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
    from accelerate import PartialState
    from accelerate.utils import gather_object

    from .predict import Predictor

    check_number("batch_size", batch_size, 1, whole=True)
    check_number("workers", workers, 0, whole=True)
    check_classes(classifier.card["classes"], dataset.classes)
    device = next(classifier.parameters()).device
    state = PartialState(cpu=device.type == "cpu")
    predictor = Predictor(classifier, cropper)
    if cropper is None:
        whole = dataset.subset(range(len(dataset)), predictor.transform)
        return {
            "stage 1": predict_split(
                classifier,
                whole,
                device,
                batch_size,
                workers,
                state.process_index,
                state.num_processes,
                gather_object,
                progress=progress,
            )
        }
    shares = _two_stage_share(
        predictor.two_stage, dataset, batch_size, state.process_index, state.num_processes, progress
    )
    shares = gather_object([shares]) if state.num_processes > 1 else [shares]
    return {
        name: collect(
            [(positions, values[stage]) for positions, values in shares if len(positions)], dataset
        )
        for stage, name in enumerate(("stage 1", "stage 2", "merged"))
    }


def _two_stage_share(two_stage, dataset, batch_size, rank, processes, progress):
    """(positions (n,), three arrays (n, K)) of one process."""
    from tqdm.auto import tqdm

    from .boxes import BoxStore, describe

    positions, found = list(range(rank, len(dataset), processes)), []
    store = BoxStore(
        dataset, describe(two_stage.cropper), part=rank
    )  # the ViT looks at an image once, not in every run
    with tqdm(
        total=len(positions), desc="two stages", unit=" images", leave=False, disable=not progress
    ) as bar:
        for start in range(0, len(positions), batch_size):
            indices = positions[start : start + batch_size]
            known = store.known(indices)
            result = two_stage.predict([dataset.image(i) for i in indices], batch_size, known)
            if known is None:
                store.add(indices, result.boxes.cpu())
            found.append(
                [
                    values.float().cpu().numpy()
                    for values in (result.stage1, result.stage2, result.merged)
                ]
            )
            bar.update(len(indices))
    store.save()
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
