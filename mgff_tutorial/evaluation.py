"""What a model says about every image of a split, each counted exactly once, by any number of processes."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .errors import InputError
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
def predict_split(model, dataset, device, batch_size=64, workers=0, rank=0, processes=1, gather=None,
                  autocast=None, progress=False):
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

    share = _Numbered(dataset, list(range(rank, len(dataset), processes)))
    loader = DataLoader(share, batch_size=batch_size, num_workers=workers)
    places, chunks = [], []
    training = model.training
    model.eval()
    try:
        with tqdm(total=len(share), desc="evaluating", unit=" images", leave=False, disable=not progress) as bar:
            for positions, images in loader:
                with autocast() if autocast else nullcontext():
                    logits = model(images.to(device))
                if logits.shape[1] != len(dataset.classes):
                    raise InputError(f"The model tells {logits.shape[1]} classes apart, the data set has "
                                     f"{len(dataset.classes)}.")
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
        raise RuntimeError(f"{len(positions)} predictions ({len(np.unique(positions))} of them different) for "
                           f"{len(dataset)} images: each must be counted exactly once.")
    probabilities = np.zeros((len(dataset), len(dataset.classes)), dtype=np.float32)
    for place, values in shares:
        probabilities[place] = values
    return Predictions(probabilities, dataset.labels, list(dataset.classes))


class TensorImages(Dataset):
    """A small data set whose transformed images are kept: the validation split is looked at every epoch."""

    def __init__(self, dataset):
        self.labels, self.classes = list(dataset.labels), list(dataset.classes)
        self.images = [dataset[i][0] for i in range(len(dataset))]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]
