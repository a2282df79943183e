"""What the card of a checkpoint says of how far its classifier can be believed."""

import torch

from .confidence import Familiarity, calibrate, embeddings_of
from .predict import Predictor
from .split import evaluate, predict_split


def trust_entries(classifier, known, held_out, cropper=None, measured=None, progress=False):
    """What a card says of how far its classifier can be believed: ``calibration`` of one look, and
    of two with a cropper, and ``familiarity`` (for a classifier that ends in a linear layer).

    Args:
        classifier: with ``.card``. known: data set it was trained on, without transform.
        held_out, measured: data sets as for `calibrate`. cropper: a `ViTCropper`, or None.
        progress: show bars.
    """
    looks = {}
    for name, stage, finder in (("one look", "stage 1", None), ("two looks", "merged", cropper)):
        if name == "one look" or finder is not None:
            found = [
                evaluate(classifier, split, finder, progress=progress)[stage]
                for split in (held_out, measured)
                if split is not None
            ]
            looks[name] = calibrate(*found)
    transform, embeddings = Predictor(classifier).transform, []
    for split in (known, held_out):
        whole = split.subset(range(len(split)), transform)
        with embeddings_of(classifier, len(split.classes)) as seen:
            if seen is None:
                return {"calibration": looks}
            device = next(classifier.parameters()).device
            predict_split(classifier, whole, device, batch_size=32, progress=progress)
        embeddings.append(torch.cat(seen))
    if min(map(len, embeddings)) < 2:
        return {"calibration": looks}
    familiarity = Familiarity.fit(embeddings[0]).set_threshold(embeddings[1])
    return {"calibration": looks, "familiarity": familiarity.as_card()}
