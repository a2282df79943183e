"""Any backbone as four feature maps: our Swin by its own code, timm's models through
``forward_intermediates``, and whatever else yields four maps (`YieldsMaps`).

What is known of a backbone (channels, grids, layout) is read from a dry run of the model itself, so
nothing here is a table that a new architecture would have to be added to.
"""

from typing import Protocol

import torch
from torch import nn
from torch.func import functional_call

from .pretrained import plain_model
from .support.errors import InputError, check_choice
from .support.modes import evaluation_mode
from .support.shapes import check_tensor, to_pair
from .swin import SwinTransformer

LAST_MAPS = ("classifier", "stage")


class YieldsMaps(Protocol):
    """What a backbone of your own has to be: a `torch.nn.Module` that makes maps of images.

    ``forward(images)`` takes (B, C, H, W) and gives a list, a tuple or a dict (in order) of at
    least four maps (B, C_i, H_i, W_i), from the finest to the last; the last four are used. The
    mean of the last one over its positions is what a classifier sees. From torchvision:

        from torchvision.models import resnet18
        from torchvision.models.feature_extraction import create_feature_extractor

        nodes = {"layer1": "1", "layer2": "2", "layer3": "3", "layer4": "4"}
        model = MGFFClassifier(create_feature_extractor(resnet18(), nodes), img_size=224)
    """

    def forward(self, images: torch.Tensor) -> list[torch.Tensor] | dict[str, torch.Tensor]: ...


class Backbone(nn.Module):
    """A model seen as four feature maps, plus the pooling of its own classifier head.

    Attributes (all read by running the model once, on shapes alone):
        img_size: (H, W) of the images in pixels. in_chans: their channels.
        channels: channels of the four maps. grids: their (H, W).
        embed_dim: width of what the model's own head hands to its linear classifier.

    The last map is what that classifier sees: after the final norm (Swin, ViT) or the head
    convolution (EfficientNet). ``last_map="stage"`` takes the bare output of the last stage
    instead.
    """

    def __init__(self, model, name, img_size, last_map):
        super().__init__()
        check_choice("last_map", last_map, LAST_MAPS)
        self.model, self.name, self.last_map = model, name, last_map
        self.img_size = to_pair(img_size, "img_size")
        self.in_chans = channels_of(model)
        self._choose_taps()
        maps, final = self._dry_run(self.forward_features)
        self.channels = tuple(m.shape[1] for m in maps)
        self.grids = tuple(tuple(m.shape[2:]) for m in maps)
        self.embed_dim = self._dry_run(lambda x: self.pool(self.forward_features(x)[1])).shape[1]

    def feature_maps(self, x):
        """Images (B, 3, H, W) -> list of four maps (B, C, h, w), from the finest to the last."""
        return self.forward_features(x)[0]

    def forward(self, x):
        """The same as `feature_maps`."""
        return self.feature_maps(x)

    def add(self, final, update):
        """Add ``update`` (B, C) to every position, and to the class token, of the final features.

        Under average pooling this is the same as adding it to the pooled vector, but whatever the
        head does after pooling (ConvNeXt's norm, MobileNetV3's convolution) acts on the sum.
        """
        update = update[..., None, None] if self.layout == "NCHW" else update[:, None]
        return final + (update[:, None] if self.layout == "NHWC" else update)

    def pool(self, final):
        """What the model's own head makes of its final features, just before the linear classifier:
        (B, embed_dim).
        """
        return self.model.forward_head(final, pre_logits=True)

    def freeze_unused(self):
        """Switch off the gradient of parameters that no feature map depends on, such as the norm of
        the head.
        """
        state = {
            name: torch.empty_like(p, device="meta").requires_grad_()
            for name, p in self.named_parameters()
        }
        maps = self._dry_run(self.feature_maps, state)
        total = sum(m.sum() for m in maps)
        used = torch.autograd.grad(total, list(state.values()), allow_unused=True)
        for parameter, gradient in zip(self.parameters(), used):
            if gradient is None:
                parameter.requires_grad_(False)

    def check_images(self, x):
        """Raise `InputError` unless ``x`` is a floating-point batch (B, 3, H, W) of the size this
        was built for.
        """
        dtype = next(self.parameters()).dtype
        check_tensor("images", x, ("B", self.in_chans, *self.img_size), dtype)

    def _dry_run(self, function, parameters=None):
        """Run ``function`` on one image in evaluation mode, on the meta device: shapes without
        arithmetic.

        ``parameters`` (name -> meta tensor) take the place of the model's own, to follow their
        gradients.
        """
        state = {
            name: t.detach().to("meta")
            for name, t in [*self.named_parameters(), *self.named_buffers()]
        }
        state = {f"module.{name}": t for name, t in {**state, **(parameters or {})}.items()}
        image = torch.empty(
            1, self.in_chans, *self.img_size, device="meta", dtype=next(self.parameters()).dtype
        )
        try:
            with evaluation_mode(self), torch.set_grad_enabled(parameters is not None):
                return functional_call(_Call(self, function), state, (image,))
        except InputError:
            raise
        except (RuntimeError, AssertionError, ValueError, IndexError) as error:
            reason = (
                str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            )
            raise InputError(
                f"Backbone {self.name!r} does not accept images of {self.img_size[0]} x "
                f"{self.img_size[1]} pixels: {reason}"
            ) from error


def channels_of(model):
    """How many channels the images of a model have, by its first convolution."""
    own = getattr(model, "in_chans", None)
    convolutions = (m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)))
    first = next(convolutions, None)
    return own or (first.in_channels if first is not None else 3)


class _Call(nn.Module):
    """A function of a module as a module, so that `functional_call` can run it with other
    tensors.
    """

    def __init__(self, module, function):
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x):
        return self.function(x)


class SwinBackbone(Backbone):
    """Our `SwinTransformer`: the maps after the patch merging of stages 1 to 3, and the final
    stage.
    """

    layout = "NHWC"  # of the final features

    def _choose_taps(self):
        if len(self.model.layers) != 4:
            raise InputError(
                f"MGFF needs four feature maps; this Swin has {len(self.model.layers)} "
                f"stages, not 4."
            )
        if self.last_map == "stage":
            self.model.norm = nn.Identity()  # nothing else uses the final norm

    def forward_features(self, x):
        """Images (B, 3, H, W) -> (list of four maps (B, C, h, w), final features (B, h, w, C))."""
        maps = self.model.feature_maps(x)
        return maps, maps[-1].permute(0, 2, 3, 1)


class MapsBackbone(Backbone):
    """Any module that yields four maps, see `YieldsMaps`."""

    layout = "NCHW"

    def _choose_taps(self):
        found = self._dry_run(lambda x: self.model(x))
        maps = list(found.values()) if isinstance(found, dict) else found
        if (
            not isinstance(maps, (list, tuple))
            or len(maps) < 4
            or not all(isinstance(m, torch.Tensor) and m.ndim == 4 for m in maps)
        ):
            got = type(found).__name__
            if isinstance(maps, (list, tuple)):
                got = f"{len(maps)} of {[tuple(getattr(m, 'shape', ())) for m in maps]}"
            raise InputError(
                f"MGFF needs four feature maps (B, C, H, W), but {self.name} gives {got}; see "
                "mgff_tutorial.backbones.YieldsMaps, for torchvision's models "
                "create_feature_extractor."
            )

    def forward_features(self, x):
        """Images (B, C, H, W) -> (list of four maps (B, C, h, w), the last of them)."""
        found = self.model(x)
        maps = list(found.values() if isinstance(found, dict) else found)[-4:]
        return maps, maps[-1]

    def pool(self, final):
        """The mean over positions, (B, embed_dim)."""
        return final.mean((2, 3))


class TimmBackbone(Backbone):
    """Any timm model with ``forward_intermediates``.

    A pyramid gives the last map of each of its grids; where the head has a convolution of its own
    (EfficientNet), three of them and the map after it, else four. A plain ViT gives four evenly
    spaced depths of its one grid, class and register tokens dropped.
    """

    def _choose_taps(self):
        self.indices, self.layout = None, None  # None: all
        final, maps = None, []
        if hasattr(self.model, "forward_intermediates") and hasattr(self.model, "forward_head"):
            final, maps = self._dry_run(self.model.forward_intermediates)
        if not isinstance(final, torch.Tensor) or any(m.ndim != 4 for m in maps):
            raise InputError(
                f"Backbone {self.name!r} gives no feature maps in this version of timm; "
                f"choose another (Swin, ViT, ResNet, ConvNeXt, EfficientNet, ... do)."
            )
        grids = [tuple(m.shape[2:]) for m in maps]
        head_conv = final.ndim == 4 and maps[-1].shape[1] not in final.shape[1:]
        wanted = 3 if head_conv and self.last_map == "classifier" else 4
        if len(set(grids)) == 1:  # a plain ViT
            taps = (
                [(i + 1) * len(maps) // wanted - 1 for i in range(wanted)]
                if len(maps) >= wanted
                else []
            )
        else:
            taps = [i for i, grid in enumerate(grids) if grid not in grids[i + 1 :]][-wanted:]
        if len(taps) < wanted:
            raise InputError(
                f"MGFF needs four feature maps, but backbone {self.name!r} at {self.img_size[0]} x "
                f"{self.img_size[1]} pixels gives grids {grids}; choose another backbone or size."
            )
        self.indices, self.grid = taps, grids[-1]
        self.layout = self._find_layout(final, self.grid)

    def _find_layout(self, final, grid):
        """Where the channels of the final features are: "NCHW", "NHWC", or tokens "NLC"."""
        if (
            final.ndim == 4
            and getattr(self.model, "output_fmt", "NCHW") != "NHWC"
            and tuple(final.shape[2:]) == grid
        ):
            return "NCHW"
        if final.ndim == 4 and tuple(final.shape[1:3]) == grid:
            return "NHWC"
        if final.ndim == 3 and final.shape[1] >= grid[0] * grid[1]:
            return "NLC"
        if self.last_map == "stage":
            return None
        raise InputError(
            f"Backbone {self.name!r} hands its classifier features of shape "
            f"{tuple(final.shape[1:])}, "
            f"which are no map of {grid[0]} x {grid[1]}; use last_map='stage' or another backbone."
        )

    def _as_map(self, final):
        """Final features in the model's own layout -> (B, C, h, w), without class and register
        tokens.
        """
        if self.layout == "NLC":
            tokens = final[:, final.shape[1] - self.grid[0] * self.grid[1] :]
            return tokens.transpose(1, 2).unflatten(2, self.grid)
        return final.permute(0, 3, 1, 2) if self.layout == "NHWC" else final

    def forward_features(self, x):
        """Images (B, 3, H, W) -> (list of four maps (B, C, h, w), final features in the model's own
        layout).
        """
        final, maps = self.model.forward_intermediates(x, indices=self.indices)
        if self.last_map == "classifier":
            maps = [*maps[:3], self._as_map(final)]
        return list(maps), final


def build_backbone(name, img_size=None, pretrained=False, last_map="classifier", **options):
    """Build a backbone that gives four feature maps.

    Args:
        name: one of the eight Swin builders or ``"swin_nano"`` (our own code), any timm model name,
            or a ready model (a `SwinTransformer` or a timm model, whose classifier is then left
            out, or any module as `YieldsMaps` describes).
        img_size: pixels, or (height, width); None takes what the model was made for.
        pretrained: as in `pretrained.plain_model`.
        last_map: ``"classifier"`` or ``"stage"``, see `Backbone`.
        **options: passed to the model's builder, such as ``drop_path_rate=0.1``.

    Returns:
        A `Backbone`.

    Raises:
        InputError: unknown name, a size that the model refuses, or a model without four maps.
        CheckpointError: weights that cannot be had or do not fit.
    """
    if isinstance(name, nn.Module):
        model, name = name, type(name).__name__
        if hasattr(model, "reset_classifier"):
            model.reset_classifier(0)
    else:
        if img_size is not None:
            options["img_size"] = to_pair(img_size, "img_size")
        model = plain_model(name, pretrained, kind="backbone", num_classes=0, **options)
    kind = MapsBackbone
    if isinstance(model, SwinTransformer):
        kind = SwinBackbone
    elif hasattr(model, "forward_intermediates") or hasattr(model, "forward_head"):
        kind = TimmBackbone
    if img_size is None:
        own = getattr(model, "pretrained_cfg", {}).get("input_size", (3, 224, 224))[1:]
        img_size = model.img_size if kind is SwinBackbone else own
    return kind(model, name, img_size, last_map)
