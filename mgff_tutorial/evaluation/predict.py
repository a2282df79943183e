"""Species of images that nobody has labelled: one picture, or a folder of a million, streamed."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch

from ..datasets.folder import walk_images
from ..datasets.transforms import eval_transform, model_config
from ..models import build_from_checkpoint
from ..support.device import pick_device
from ..support.errors import CheckpointError, DataError, InputError, check_number
from ..support.files import as_path
from ..support.images import open_image


def find_images(path):
    """Image files below a folder (or the file itself), one after the other, without listing them
    all first.

    Within a folder, files come first and by name. Hidden files and folders, and files that are no
    pictures by their extension, are left out; links to folders are followed, each real folder once,
    so loops end.

    Args:
        path: a file (taken whatever its extension) or a folder.

    Yields:
        (name, path): text relative to the folder, with ``/``, and a `Path`.

    Raises:
        DataError: the path does not exist, or a folder cannot be read.
    """
    if path == "":
        raise InputError("path is empty; expected an image or a folder of images.")
    path = as_path(path)
    if not path.is_dir():
        if not path.exists() and not path.is_symlink():
            raise DataError(f"{path} does not exist; expected an image or a folder of images.")
        yield path.name, path
        return
    for image in walk_images(path, _unread):
        yield image.relative_to(path).as_posix(), image


def _unread(folder, error):
    raise DataError(f"{folder} cannot be read: {error.strerror}.") from None


def load_classifier(checkpoint, device="auto"):
    """A trained classifier with its card, ready to predict.

    Args:
        checkpoint: a file that `train` wrote.
        device: as in `pick_device`.

    Raises:
        CheckpointError: not a checkpoint of this package, or its card names no classes.
    """
    device = pick_device(str(device))
    model = build_from_checkpoint(checkpoint)
    if not model.card.get("classes"):
        raise CheckpointError(
            f"{checkpoint}: the card names no classes; expected a classifier trained by "
            "python -m mgff_tutorial train."
        )
    return model.to(device)


def load_cropper(vit="vit_nano", device="auto", **options):
    """A `ViTCropper` around a ViT: a model name (with its pretrained weights), or the path of a
    checkpoint.
    """
    from ..cropper import ViTCropper
    from ..models import create_model

    is_file = as_path(vit, "vit").suffix in (".safetensors", ".pth", ".pt")
    model = build_from_checkpoint(vit) if is_file else create_model(vit, pretrained=True)
    return ViTCropper(model, **options).to(pick_device(str(device)))


class Predictor:
    """PIL images in, one record an image out.

    Args:
        classifier: from `load_classifier` (a module with ``.card``).
        cropper: a `ViTCropper`; None predicts in one stage.
        top: how many species a record lists.
    """

    def __init__(self, classifier, cropper=None, top=3):
        card = getattr(classifier, "card", None)
        if not card or not card.get("classes"):
            raise InputError(
                f"classifier: {type(classifier).__name__} has no card that names its classes; "
                f"open one with "
                "load_classifier."
            )
        check_number("top", top, 1, whole=True)
        stats = model_config(classifier)
        size = card.get("img_size", stats["img_size"])
        resize = card.get("resize", size)
        self.classes, self.top = card["classes"], min(top, len(card["classes"]))
        self.classifier, self.two_stage = classifier, None
        mean, std = card.get("mean", stats["mean"]), card.get("std", stats["std"])
        self.transform = eval_transform(size, resize, mean, std)
        if cropper is not None:
            from ..two_stage import TwoStageClassifier

            self.two_stage = TwoStageClassifier(
                classifier, cropper, mean=mean, std=std, resize=resize
            )

    def __call__(self, images):
        """Records for a list of PIL images, and what the figures need (a `TwoStageResult`, or
        None).

        A record has ``species``, ``probability`` (of the merged prediction), ``top`` (names and
        probabilities), and in two stages ``stage1`` and ``stage2`` (each its own species and
        probability), ``box`` (xyxy pixels of the upright image) and ``whole_image`` (no object was
        found, so stage 2 saw the whole image).
        """
        if not isinstance(images, (list, tuple)):
            raise TypeError(f"images: expected a list of PIL images, got {type(images).__name__}.")
        if not images:
            return [], None
        if self.two_stage is None:
            device = next(self.classifier.parameters()).device
            with torch.inference_mode():
                batch = torch.stack([self.transform(image) for image in images]).to(device)
                return [
                    self._record(p) for p in self.classifier(batch).float().softmax(1).cpu()
                ], None
        result = self.two_stage.predict(images)
        parts = zip(
            *(
                values.cpu()
                for values in (
                    result.merged,
                    result.stage1,
                    result.stage2,
                    result.boxes,
                    result.fallback,
                )
            )
        )
        records = [
            {
                **self._record(merged),
                "stage1": self._best(first),
                "stage2": self._best(second),
                "box": [round(float(v), 1) for v in box],
                "whole_image": bool(fallback),
            }
            for merged, first, second, box, fallback in parts
        ]
        return records, result

    def _record(self, probabilities):
        finite(probabilities)
        values, places = probabilities.topk(self.top)
        top = [
            [self.classes[place], round(value, 4)]
            for value, place in zip(values.tolist(), places.tolist())
        ]
        return {"species": top[0][0], "probability": top[0][1], "top": top}

    def _best(self, probabilities):
        place = int(probabilities.argmax())
        return {
            "species": self.classes[place],
            "probability": round(float(probabilities[place]), 4),
        }


def finite(probabilities):
    """``probabilities``, if they are numbers; an `InputError` if the weights give none."""
    if not bool(torch.isfinite(probabilities).all()):
        raise InputError(
            "The model gives NaN for an image, which is no prediction: its weights are damaged or "
            "too large; take another checkpoint."
        )
    return probabilities


def predict_files(predictor, files, batch_size=32, threads=2, each=None):
    """Records of image files, in their order; at most a few batches are held at any time.

    Args:
        predictor: a `Predictor`.
        files: iterable of (name, path), such as `find_images`.
        batch_size: images a pass.
        threads: that decode.
        each: called with (name, image, record, result, position in the batch) for every image that
            was predicted.

    Yields:
        A list of records a batch: ``{"image": name, ...}``, or ``{"image": name, "error":
            sentence}`` for a broken file.
    """
    for name, value in (("batch_size", batch_size), ("threads", threads)):
        check_number(name, value, 1, whole=True)
    with ThreadPoolExecutor(threads) as pool:
        opened = _decoded(pool, files, 2 * batch_size)
        while batch := list(islice(opened, batch_size)):
            yield _records(predictor, batch, each)


def _decoded(pool, files, ahead):
    """(name, image, error) of each file in order; ``ahead`` of them are decoded meanwhile."""
    waiting = deque()
    for name, path in files:
        waiting.append((name, pool.submit(_opened, path)))
        if len(waiting) > ahead:
            name, future = waiting.popleft()
            yield name, *future.result()
    for name, future in waiting:
        yield name, *future.result()


def _opened(path):
    try:
        return open_image(path), None
    except DataError as error:
        return None, str(error)


def _records(predictor, batch, each):
    """One record for each (name, image, error) of a batch."""
    sound = [(name, image) for name, image, error in batch if error is None]
    found, result = predictor([image for _, image in sound]) if sound else ([], None)
    by_name = {}
    for position, ((name, image), record) in enumerate(zip(sound, found)):
        by_name[name] = {"image": name, **record}
        if each is not None:
            each(name, image, by_name[name], result, position)
    return [
        by_name[name] if error is None else {"image": name, "error": error}
        for name, _, error in batch
    ]
