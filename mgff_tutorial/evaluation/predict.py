"""Species of images that nobody has labelled: one picture, or a folder of a million, streamed."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch

from ..cropper import ViTCropper
from ..datasets.folder import walk_images
from ..datasets.transforms import enough_pixels, eval_transform, model_config
from ..models import build_from_checkpoint, create_model
from ..support.checkpoints import read_metadata
from ..support.device import pick_device
from ..support.errors import CheckpointError, DataError, InputError, check_number
from ..support.fast import optimise
from ..support.files import as_path
from ..support.images import BYTES, full_scale, images_per_pass, open_image
from ..two_stage import TwoStageClassifier
from .confidence import Familiarity, embeddings_of, soften


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


PHOTOGRAPHS = "vit_small_patch14_dinov2"  # the ViT that finds objects in photographs
LOOK = 224  # side in pixels at which it looks


def cropper_of(card):
    """How the objects were found that a classifier was trained with, and so how they are to be
    found.

    Args:
        card: of its checkpoint; where it does not say (``cropper``), drawn birds have `vit_nano`,
            and all else has `PHOTOGRAPHS`.

    Returns:
        dict of ``vit``, ``rule`` (None: the ViT's own) and ``input_size`` (None: its own).
    """
    drawn = "nano" in str(card.get("model")) or card.get("data") == "sketchbirds"
    usual = {"vit": "vit_nano", "input_size": None} if drawn else {}
    found = card.get("cropper", {})
    return {"vit": PHOTOGRAPHS, "rule": None, "input_size": LOOK, **usual, **found}


def load_cropper(vit="vit_nano", device="auto", input_size=None, **options):
    """A `ViTCropper` around a ViT with its weights.

    Args:
        vit: the name of a model, or the path of its weights: a checkpoint of this package, or a
            file of timm (which does not say what it holds) of a ViT that `PHOTOGRAPHS` names.
        device: as in `pick_device`.
        input_size: side in pixels at which the ViT looks; None: its own.
        **options: of `ViTCropper`.

    Raises:
        CheckpointError: weights that cannot be had or are of another model.
    """
    if as_path(vit, "vit").is_dir():
        raise CheckpointError(
            f"{vit} is a folder; expected the name of a ViT or the file of its weights."
        )
    size = {} if input_size is None else {"img_size": input_size}
    if as_path(vit, "vit").suffix not in (".safetensors", ".pth", ".pt"):
        model = create_model(vit, pretrained=True, **size)
    else:
        model = create_model(read_metadata(vit).get("model", PHOTOGRAPHS), vit, **size)
    return ViTCropper(model, **options).to(pick_device(str(device)))


def input_side(classifier):
    """Side in pixels of the images that a classifier takes: its card's word, else its model's."""
    return classifier.card.get("img_size", model_config(classifier)["img_size"])


class Predictor:
    """PIL images in, one record an image out.

    Attributes:
        classes: names. least: pixels of a photograph's shorter side that are enough, see
            `open_image`.

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
        size = input_side(classifier)
        resize = card.get("resize", size)
        self.classes, self.top = card["classes"], min(top, len(card["classes"]))
        self.classifier, self.two_stage = classifier, None
        mean, std = card.get("mean", stats["mean"]), card.get("std", stats["std"])
        self.transform = eval_transform(size, resize, mean, std)
        self.size, self.least = size, enough_pixels(size, resize)
        looks = card.get("calibration", {})
        look = looks.get("one look" if cropper is None else "two looks") or {}
        self.temperature = look.get("temperature")
        self.familiarity = Familiarity.from_card(card.get("familiarity"))
        if cropper is not None:
            self.two_stage = TwoStageClassifier(
                classifier, cropper, input_size=size, mean=mean, std=std, resize=resize
            )

    def optimise(self, batch_size):
        """On a CPU, let each linear layer of the classifier use the quicker of torch's libraries,
        for passes of so many images (see `support.fast.optimise`).
        """
        parameter = next(self.classifier.parameters())
        if parameter.device.type == "cpu" and parameter.dtype == torch.float32:
            optimise(self.classifier, torch.zeros(min(batch_size, 64), 3, self.size, self.size))

    def __call__(self, images):
        """Records for a list of PIL images, and what the figures need (a `TwoStageResult`, or
        None).

        A record has ``species``, ``probability`` (of the merged prediction), ``top`` (names and
        probabilities), and in two stages ``stage1`` and ``stage2`` (each its own species and
        probability), ``box`` (xyxy pixels of the upright image) and ``whole_image`` (no object was
        found, so stage 2 saw the whole image). Where the card can tell, also ``confidence`` (the
        probability, calibrated) and ``familiar`` (whether the image is like those of the training).
        """
        if not isinstance(images, (list, tuple)):
            raise TypeError(f"images: expected a list of PIL images, got {type(images).__name__}.")
        if not images:
            return [], None
        with embeddings_of(self.classifier, len(self.classes)) as seen:
            records, result = (
                self._one_look(images) if self.two_stage is None else self._two_looks(images)
            )
        if self.familiarity is not None and seen:
            first = torch.cat(seen if result is None else seen[::2])  # of the whole images
            for record, known in zip(records, self.familiarity.knows(first).tolist()):
                record["familiar"] = known
        return records, result

    def _one_look(self, images):
        device = next(self.classifier.parameters()).device
        with torch.inference_mode():
            batch = torch.stack([self.transform(image) for image in images]).to(device)
            found = self.classifier(batch).float().softmax(1).cpu()
        return [self._record(probabilities) for probabilities in found], None

    def _two_looks(self, images):
        result = self.two_stage.predict(images, images_per_pass(images))
        names = ("merged", "stage1", "stage2", "boxes", "fallback")
        parts = zip(*(getattr(result, name).cpu() for name in names))
        records = [
            {
                **self._record(merged),
                "stage1": self._best(first),
                "stage2": self._best(second),
                "box": [round(float(v) * s, 1) for v, s in zip(box, 2 * full_scale(image))],
                "whole_image": bool(fallback),
            }
            for (merged, first, second, box, fallback), image in zip(parts, images)
        ]
        return records, result

    def _record(self, probabilities):
        finite(probabilities)
        values, places = probabilities.topk(self.top)
        top = [
            [self.classes[place], round(value, 4)]
            for value, place in zip(values.tolist(), places.tolist())
        ]
        record = {"species": top[0][0], "probability": top[0][1], "top": top}
        if self.temperature:
            record["confidence"] = round(float(soften(probabilities, self.temperature).max()), 4)
        return record

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
        opened = _decoded(pool, files, 2 * batch_size, getattr(predictor, "least", None))
        try:
            while batch := list(islice(opened, batch_size)):
                yield _records(predictor, batch, each)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C, nothing more is decoded


def _decoded(pool, files, ahead, least=None):
    """(name, image, error) of each file in order; meanwhile up to ``ahead`` others are decoded,
    fewer where they are so large that they would take more than `BYTES`.
    """
    waiting, largest = deque(), 1

    def first():
        nonlocal largest
        name, future = waiting.popleft()
        image, error = future.result()
        if image is not None:
            largest = max(largest, 3 * image.width * image.height)
        return name, image, error

    for name, path in files:
        waiting.append((name, pool.submit(_opened, path, least)))
        while len(waiting) > max(2, min(ahead, BYTES // largest)):
            yield first()
    while waiting:
        yield first()


def _opened(path, least):
    try:
        return open_image(path, least), None
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
