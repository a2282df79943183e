"""Write the real weights that `real_weights` finds as checkpoints of this package, for the
``ablate`` command.

    python tests/save_real_weights.py FOLDER

makes FOLDER/vit_small_patch14_dinov2.safetensors, FOLDER/tf_efficientnet_lite0.safetensors and
FOLDER/tf_efficientnet_lite2.safetensors. Readers with a network do not need them: without
``--weights`` the command takes timm's pretrained weights.
"""

import sys
from pathlib import Path

from real_weights import LITE, dinov2_vit_small, efficientnet_lite

from mgff_tutorial.support.checkpoints import save_checkpoint


def main(folder):
    # 518 is the size of the stored position embeddings: nothing is resampled here.
    for name, model in (
        ("vit_small_patch14_dinov2", dinov2_vit_small(518)),
        *((name, efficientnet_lite(name)) for name in LITE),
    ):
        path = Path(folder) / f"{name}.safetensors"
        save_checkpoint(path, model, {"model": name, "data": "published pretrained weights"})
        print(f"wrote {path}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
