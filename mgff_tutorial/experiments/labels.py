"""What the tables call the results files, their configurations and what papers report."""

PHOTOGRAPHS = "photographs: CUB-20, EfficientNet-Lite0"
DRAWN = "drawn birds: SketchBirds, `swin_nano`"
SETTINGS = {  # column -> (results of heads that look once, results of heads that look twice)
    PHOTOGRAPHS: ("fusion-cub20-tf_efficientnet_lite0", "two-stage-cub20-tf_efficientnet_lite0"),
    DRAWN: ("fusion-sketchbirds", "two-stage-sketchbirds"),
}
PADDING = {  # column -> results of margins around the box
    PHOTOGRAPHS: "padding-cub20-tf_efficientnet_lite0",
    DRAWN: "padding-sketchbirds",
}
COSTS = {  # column -> results of what heads cost
    "EfficientNet-Lite0 at 160": "cost-cub20-tf_efficientnet_lite0",
    "ViT-S/14 at 168": "cost-cub20-vit_small_patch14_dinov2",
    "`swin_nano` at 96": "cost-sketchbirds",
}
LOCALISATION = {  # results -> what was localised by what
    "localisation_cub20": "Photographs (20 classes of CUB-200-2011), ViT-S/14 trained without "
    "labels (DINOv2)",
    "localisation_sketchbirds": "SketchBirds, `vit_nano`",
}
BASELINE, MGFF, LITERAL = "linear head (baseline)", "MGFF, default", "MGFF, `literal`"
CONTROL = "two-layer head with about as many parameters (control)"
ONE_LOOK = {  # row -> configuration; the gain is over the baseline
    BASELINE: "baseline",
    CONTROL: "mlp-control",
    MGFF: "mgff",
    LITERAL: "mgff-literal",
    "MGFF without self-attention": "mgff-no-self-attention",
    "MGFF without channel attention": "mgff-no-channel-attention",
    "MGFF without graph": "mgff-no-graph",
    **{f"MGFF without granularity {i}": f"mgff-no-granularity-{i}" for i in range(4)},
}
STEPS = {  # row -> configuration: from the default to the text, one step each
    "MGFF, its vector in place of the classifier's features (a step to "
    "`literal`)": "mgff-step-replace",
    "MGFF without layer norms (a step to `literal`)": "mgff-step-norms",
    "MGFF without residual connections (a step to `literal`)": "mgff-step-residuals",
}
# row -> configuration after the head's name; the gain is over the same head's one look
TWO_LOOKS = {
    "crop alone": "whole/stage2-cropper",
    "**merged**": "whole/merged-cropper",
    "merged, annotated boxes (ceiling)": "whole/merged-truth",
    "merged, central boxes (floor)": "whole/merged-central",
    "merged, trained with crops as well": "crops/merged-cropper",
}
SETS = {  # classes -> column
    "cub20": "classes 1 to 20 (cub20)",
    "cub15": "classes 21 to 35 (cub15), nothing chosen",
}
PROBED = {  # row -> configuration
    "granularity 0, mean": "granularity-0",
    "granularity 1, mean": "granularity-1",
    "granularity 2 (last stage), mean": "granularity-2",
    "granularity 0: mean, maximum, deviation": "granularity-0/spread",
    "granularity 1: mean, maximum, deviation": "granularity-1/spread",
    "granularity 2: mean, maximum, deviation": "granularity-2/spread",
    "what the classifier sees": "classifier",
    "the same beside granularities 0 and 1": "classifier+granularities",
}
SCREENED = {  # row -> configuration
    BASELINE: "baseline",
    CONTROL: "mlp-control",
    MGFF: "mgff",
    "a nonlinear block on each map, then MGFF": "mgff-nonlinear",
    "blocks with a classifier each and a joint one, beside the linear head": (
        "granularities-supervised"
    ),
    "blocks with a classifier each, then MGFF": "mgff-supervised",
}
FACTORS = {
    "scale": "bird {} of the picture",
    "camouflage": "camouflage {}",
    "part_scale": "deciding parts {} times natural",
}
# Accuracies that papers report for themselves, in per cent: method, backbone family, CUB-200-2011,
# NABirds (None: not quoted here). Nothing of it was measured in this repository. MGFF: Xu et al.,
# Pattern Recognition 146, 2024, 110042. The others are quoted for orientation: their backbones,
# pretraining and image sizes differ, so a difference of a point or two between rows says little
# about the methods.
REPORTED = [
    ("MGFF (the paper)", "Swin-B and ViT", "92.60", "92.08"),
    ("TransFG", "ViT", "91.7", None),
    ("CAP", "CNN", "91.8", None),
    ("IELT", "ViT", "91.81", "90.78"),
    ("MetaFormer-2", "convolution and transformer", "92.9", "93.0"),
    ("HERBS", "Swin", "above 93", "above 93"),
]
