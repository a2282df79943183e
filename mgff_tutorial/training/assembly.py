"""From what a configuration names to the objects of a run: devices, data, model."""

import torch

from ..evaluation.split import TensorImages
from ..support.device import pick_device
from ..support.errors import InputError
from .loading import BatchPlan, CloseViews, MemoryImages, file_batches


class RunData:
    """The training, validation and test images of a run, and the plan of its batches.

    Args:
        config: a `TrainConfig`.
        train_set, test_set: `ImageDataset` objects, without transform.
        model: whose mean and std the images are normalised with.
        rank, processes: this process, and how many there are.
        progress: show a bar while images are decoded into memory.

    Attributes:
        plan: `BatchPlan`. val_set, test_set: with the transform of testing; ``val_set`` is None
            without validation.
        classes: names. stats: dict of ``mean`` and ``std``. memory: `MemoryImages`, or None.
    """

    def __init__(self, config, train_set, test_set, model, rank=0, processes=1, progress=False):
        from ..datasets import CachedImages, split_validation
        from ..datasets.transforms import eval_transform, model_config, train_transform

        self.config, self.classes = config, list(train_set.classes)
        if list(test_set.classes) != self.classes:
            raise InputError("The training and test splits have different classes.")
        stats = model_config(model)
        self.stats = {key: list(stats[key]) for key in ("mean", "std")}
        whole = eval_transform(config.img_size, config.resize, **self.stats)
        if config.cache and not config.in_memory:
            train_set = CachedImages(train_set, config.cache, config.resize)
            test_set = CachedImages(test_set, config.cache, config.resize)
        rest, held = list(range(len(train_set))), []
        if config.validation:
            rest, held = split_validation(train_set, config.validation, config.seed)
        self.val_set = train_set.subset(held, whole) if held else None
        self.test_set = test_set.subset(range(len(test_set)), whole)
        self.plan = BatchPlan(
            len(rest),
            config.batch_size,
            config.epochs,
            config.seed,
            config.micro_batch,
            rank,
            processes,
        )
        if config.mixup or config.cutmix:
            self._check_pairs(processes)
        look = {"crop": config.crop, "scale": tuple(config.scale)}
        if config.in_memory:
            self.memory = MemoryImages(
                train_set.subset(rest),
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
            if config.close_views:
                self.memory.boxes = self._boxes(
                    train_set.subset(rest), rank, processes, progress, self.memory.images
                )
            self.val_set = TensorImages(self.val_set) if held else None
        else:
            change = {"flip": 0.5 * config.flip, "colour_jitter": config.jitter, **self.stats}
            views = train_transform(config.img_size, config.resize, **look, **change)
            self.memory, self.train_set = None, train_set.subset(rest, views)
            if config.close_views:
                boxes = self._boxes(self.train_set, rank, processes, progress)
                whole = train_transform(
                    config.img_size, config.img_size, **change
                )  # all of what was cut out
                self.train_set = CloseViews(self.train_set, boxes, config.close_views, whole)

    def _check_pairs(self, processes):
        """Refuse, before anything is written, what timm's mixup would refuse in the first pass."""
        share, micro = self.plan.batch_size // processes, self.plan.micro_batch
        odd = [size for size in (micro, share % micro) if size % 2]
        if odd:
            raise InputError(
                f"mixup and cutmix pair the images of a pass: choose an even batch, got {odd[0]}."
            )

    def _boxes(self, dataset, rank, processes, progress, images=None):
        """(N, 4) boxes of the training images, found by the processes together, or stored by an
        earlier run.
        """
        from accelerate.utils import gather_object

        from ..evaluation.boxes import find_boxes
        from ..evaluation.predict import load_cropper

        return find_boxes(
            dataset,
            load_cropper(self.config.cropper, self.config.device),
            images,
            rank=rank,
            processes=processes,
            gather=gather_object,
            progress=progress,
        )

    def batches(self, device):
        """Iterate (images, labels) for every pass that `plan` still has ahead."""
        if self.memory:
            return self.memory.batches(self.plan, device)
        return file_batches(
            self.train_set, self.plan, self.config.seed, self.config.workers, device.type == "cuda"
        )


def make_accelerator(config):
    """The `accelerate.Accelerator` of a run; started by ``accelerate launch`` or ``torchrun``, it
    spans the processes.

    Raises:
        InputError: the device is not there, or cannot compute in the precision.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    if not (PartialState._shared_state and PartialState().num_processes > 1):
        # a notebook trains several times in one process, perhaps in another precision each time
        AcceleratorState._reset_state(reset_partial_state=True)
    wanted = pick_device(config.device)
    if config.precision == "fp16" and wanted.type == "cpu":
        raise InputError("precision: fp16 needs a GPU; use bf16 or no on the CPU.")
    if wanted.type == "cuda" and wanted.index is not None:
        torch.cuda.set_device(wanted)
    if config.deterministic:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        torch.use_deterministic_algorithms(True, warn_only=True)
    return Accelerator(mixed_precision=config.precision, cpu=wanted.type == "cpu")


def build_model(config, classes):
    """The model that a configuration names.

    ``pretrained`` means the backbone's weights for an MGFF model, and the whole model's for any
    other; the path of a checkpoint that holds the very model is loaded whole.

    Args:
        config: a `TrainConfig`.
        classes: number of classes.

    Returns:
        (model, options): ``create_model(config.model, num_classes=classes, **options)`` builds the
        same model.
    """
    from ..mgff import MGFFClassifier
    from ..models import create_model

    options = {"img_size": config.img_size, **config.model_kwargs}
    backbone = config.model.removeprefix("mgff_")
    if backbone != config.model and not _holds(config.pretrained, config.model):
        return MGFFClassifier(
            backbone, num_classes=classes, pretrained=config.pretrained, **options
        ), options
    try:
        return create_model(
            config.model, config.pretrained, num_classes=classes, **options
        ), options
    except TypeError as error:  # convolutional networks take any size, and no option of that name
        if "img_size" not in str(error):
            raise
    options.pop("img_size")
    return create_model(config.model, config.pretrained, num_classes=classes, **options), options


def _holds(pretrained, model):
    """Whether ``pretrained`` is the path of a checkpoint of that very model."""
    from ..support.checkpoints import read_metadata

    return not isinstance(pretrained, bool) and read_metadata(pretrained).get("model") == model
