"""Accuracies that papers report for themselves, in per cent. Nothing here was measured in this
repository.

MGFF: Xu et al., Pattern Recognition 146, 2024, 110042. The others are quoted for orientation: their
backbones, pretraining and image sizes differ, so a difference of a point or two between rows says
little about the methods.
"""

# method, backbone family, CUB-200-2011, NABirds (None: not quoted here)
REPORTED = [
    ("MGFF (the paper)", "Swin-B and ViT", "92.60", "92.08"),
    ("TransFG", "ViT", "91.7", None),
    ("CAP", "CNN", "91.8", None),
    ("IELT", "ViT", "91.81", "90.78"),
    ("MetaFormer-2", "convolution and transformer", "92.9", "93.0"),
    ("HERBS", "Swin", "above 93", "above 93"),
]


def reported_table():
    """The table as Markdown, every number marked as reported."""
    lines = ["| method | backbone | CUB-200-2011, % | NABirds, % |", "|---|---|---|---|"]
    for method, backbone, *numbers in REPORTED:
        cells = [f"{number} (reported)" if number else "-" for number in numbers]
        lines.append(f"| {method} | {backbone} | {' | '.join(cells)} |")
    return "\n".join(lines)
