"""What a configuration names: processes and precision, model, optimiser, learning-rate schedule and
loss of a run, from accelerate, timm and torch where they have them.
"""

from functools import partial

import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.optim import create_optimizer_v2, list_optimizers
from timm.scheduler import CosineLRScheduler

from ..mgff import MGFFClassifier
from ..models import create_model
from ..support.checkpoints import read_metadata
from ..support.device import pick_device
from ..support.errors import InputError, unknown_name


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
    options = {"img_size": config.img_size, **config.model_kwargs}
    backbone = config.model.removeprefix("mgff_")
    build = partial(create_model, config.model)
    if backbone != config.model and not _holds(config.pretrained, config.model):
        build = partial(MGFFClassifier, backbone)
    return build(num_classes=classes, pretrained=config.pretrained, **options), options


def _holds(pretrained, model):
    """Whether ``pretrained`` is the path of a checkpoint of that very model."""
    return not isinstance(pretrained, bool) and read_metadata(pretrained).get("model") == model


def new_layers(model):
    """Names of the parameters that pretraining has not seen: all but the backbone, or just the
    classifier.

    Args:
        model: an MGFF model (with ``.backbone``) or a timm model (with ``.get_classifier()``).

    Returns:
        A set of parameter names; empty for a model that has neither.
    """
    if hasattr(model, "backbone"):
        return {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}
    heads = model.get_classifier() if hasattr(model, "get_classifier") else ()
    heads = heads if isinstance(heads, (tuple, list)) else (heads,)
    own = {id(parameter) for head in heads for parameter in head.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}


def parameter_groups(model, lr, weight_decay, new_layer_lr=1.0):
    """Parameters in up to four groups: new or pretrained, with or without weight decay.

    As in timm, vectors (biases, norms) and what ``model.no_weight_decay()`` names are not decayed.

    Returns:
        List of dicts with ``params``, ``lr``, ``weight_decay`` and ``name``.
    """
    spared = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()
    fresh = new_layers(model)
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_new, is_decayed = name in fresh, parameter.ndim > 1 and name not in spared
        group = groups.setdefault(
            (is_new, is_decayed),
            {
                "name": ("new" if is_new else "pretrained") + (", decayed" if is_decayed else ""),
                "params": [],
                "lr": lr * (new_layer_lr if is_new else 1.0),
                "weight_decay": weight_decay if is_decayed else 0.0,
            },
        )
        group["params"].append(parameter)
    if not groups:
        raise InputError(
            f"{type(model).__name__} has no parameter that can be trained (requires_grad)."
        )
    return list(groups.values())


def build_optimizer(model, config):
    """timm's optimiser of the name ``config.optimizer`` over `parameter_groups`.

    Raises:
        InputError: timm knows no optimiser of that name, or it takes other settings.
    """
    if config.optimizer.lower() not in list_optimizers():
        raise unknown_name("optimizer", config.optimizer, list_optimizers())
    groups = parameter_groups(model, config.lr, config.weight_decay, config.new_layer_lr)
    return create_optimizer_v2(
        groups,
        opt=config.optimizer.lower(),
        lr=config.lr,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
    )


class Schedule:
    """Learning rate as a function of the update number: linear warm-up, then half a cosine to 0, or
    constant.

    A function of the update alone, so a resumed run continues on the same curve.

    Args:
        optimizer: its groups' ``lr`` are the peaks.
        total: updates of the run.
        warmup: updates of the warm-up; at most half of ``total`` is used.
        kind: ``"cosine"`` or ``"constant"``.
    """

    def __init__(self, optimizer, total, warmup=0, kind="cosine"):
        warmup = min(int(warmup), total // 2)
        self.optimizer, self.warmup, self.kind = optimizer, warmup, kind
        # at least 2: timm warns of a cosine over one update, whose only rate is the peak either way
        self.cosine = CosineLRScheduler(
            optimizer,
            t_initial=max(2, total - warmup),
            warmup_t=warmup,
            warmup_prefix=True,
            t_in_epochs=False,
        )

    def set(self, step):
        """Set the learning rates for update ``step`` (from 0)."""
        step = (
            min(step + 1, self.warmup) if step < self.warmup else step
        )  # the first update is not wasted on lr 0
        if self.kind == "cosine" or step < self.warmup:
            self.cosine.step_update(step)
        else:
            self.cosine.update_groups(
                [group["initial_lr"] for group in self.optimizer.param_groups]
            )


class Loss:
    """Cross-entropy, with timm's mixup or cutmix where the recipe asks for them.

    Called with (images (B, 3, S, S), labels (B,)); returns the images to train on and a function of
    the logits that gives the summed loss.

    Raises:
        InputError: mixup with an odd number of images (timm pairs them).
    """

    def __init__(self, config, classes):
        self.smoothing, self.mix = config.label_smoothing, None
        if config.mixup or config.cutmix:
            self.mix = Mixup(
                mixup_alpha=config.mixup,
                cutmix_alpha=config.cutmix,
                num_classes=classes,
                label_smoothing=config.label_smoothing,
            )

    def __call__(self, images, labels):
        if self.mix is None:
            return images, lambda logits: F.cross_entropy(
                logits, labels, label_smoothing=self.smoothing, reduction="sum"
            )
        if len(images) % 2:
            raise InputError(
                f"mixup and cutmix pair the images of a pass: choose an even batch, got "
                f"{len(images)}."
            )
        images, targets = self.mix(images.clone(), labels)
        return images, lambda logits: F.cross_entropy(logits, targets, reduction="sum")


def all_finite(tensors):
    """Whether every floating-point tensor of an iterable is free of NaN and infinity."""
    return all(
        bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point()
    )
