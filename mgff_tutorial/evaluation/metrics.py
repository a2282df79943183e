"""What a model said about a data set, image by image, and the numbers that follow from it."""

import csv
from dataclasses import dataclass

import numpy as np

from ..support.errors import InputError
from ..support.files import atomic_file


@dataclass
class Predictions:
    """Probabilities for every image of a split, in its order.

    Attributes:
        probabilities: (N, K) float32, rows sum to 1.
        labels: (N,) int, the true classes.
        classes: K names.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    classes: list[str]

    def __post_init__(self):
        self.probabilities = np.asarray(self.probabilities, dtype=np.float32)
        self.labels = np.asarray(self.labels, dtype=np.int64)
        if self.probabilities.shape != (len(self.labels), len(self.classes)):
            raise InputError(
                f"probabilities must have shape ({len(self.labels)}, {len(self.classes)}) "
                f"for these "
                f"labels and classes, got {self.probabilities.shape}."
            )

    @property
    def predicted(self) -> np.ndarray:
        """(N,) most probable class; the first one where several are equal."""
        return self.probabilities.argmax(1)

    @property
    def correct(self) -> int:
        """Number of images classified correctly."""
        return int((self.predicted == self.labels).sum())

    @property
    def count(self) -> int:
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of images classified correctly, 0 to 1."""
        return self.correct / self.count if self.count else 0.0

    @property
    def loss(self) -> float:
        """Mean negative log-probability of the true class."""
        chosen = self.probabilities[np.arange(self.count), self.labels].astype(np.float64)
        return float(-np.log(chosen.clip(1e-12)).mean()) if self.count else 0.0

    def top(self, k):
        """Share of images whose true class is among the ``k`` most probable."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((order == self.labels[:, None]).any(1).mean()) if self.count else 0.0

    def confusion(self):
        """(K, K) counts; row: true class, column: predicted class."""
        matrix = np.zeros((len(self.classes),) * 2, dtype=np.int64)
        np.add.at(matrix, (self.labels, self.predicted), 1)
        return matrix

    def class_accuracy(self):
        """(K,) share of each class's images classified correctly; NaN for one without images."""
        matrix = self.confusion()
        images = matrix.sum(1)
        return np.where(images > 0, matrix.diagonal() / np.maximum(images, 1), np.nan)

    def summary(self):
        """``accuracy``, ``correct`` and ``count`` as plain numbers, for cards and logs."""
        return {"accuracy": round(self.accuracy, 6), "correct": self.correct, "count": self.count}

    def write_csv(self, path, names=None):
        """One row an image: index, name, true class, predicted class, its probability, whether
        right; atomically.

        Args:
            path: the file.
            names: N image names (the index if None).
        """
        with atomic_file(path, "w") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["index", "image", "label", "predicted", "probability", "right"])
            writer.writerows(
                [
                    i,
                    i if names is None else names[i],
                    self.classes[label],
                    self.classes[guess],
                    f"{self.probabilities[i, guess]:.4f}",
                    int(label == guess),
                ]
                for i, (label, guess) in enumerate(zip(self.labels, self.predicted))
            )
