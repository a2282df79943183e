"""Draws the README's two pictures into data/results: ``python tests/pictures.py``."""

from pathlib import Path

import matplotlib.pyplot as plt

from mgff_tutorial import SketchBirds, TwoStageClassifier, ViTCropper, create_model
from mgff_tutorial.datasets import readable_name
from mgff_tutorial.plots.start import draw_two_stages
from mgff_tutorial.plots.system import draw_system

RESULTS = Path(__file__).resolve().parent.parent / "data" / "results"


def pictures():
    """name -> (matplotlib figure, dots per inch)."""
    birds = SketchBirds("test")
    system = TwoStageClassifier(
        create_model("mgff_swin_nano", pretrained=True),
        ViTCropper(create_model("vit_nano", pretrained=True)),
    )
    large, small = birds[78][0], birds[88][0]
    result = system.predict([large, small])
    names = [readable_name(name) for name in birds.classes]
    return {
        "system.png": (draw_system(large, result), 160),
        "two_stages.png": (draw_two_stages(small, result, names, birds.labels[88], index=1), 90),
    }


if __name__ == "__main__":
    for name, (figure, dpi) in pictures().items():
        figure.savefig(RESULTS / name, dpi=dpi)
        plt.close(figure)
