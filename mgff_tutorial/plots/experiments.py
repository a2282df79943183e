"""Figures of results: bars with intervals, curves with bands, confusion by genus, failures, and a
lucky choice.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    bounds,
    draw_band,
    draw_whiskers,
    frame_groups,
    panels,
    show_image,
)

# of the bars whose name holds the word; the first one counts
COLOURS = {"baseline": GREY, "control": PURPLE, "literal": ORANGE, "-no-": GREEN, "without": GREEN}


def draw_ablation(tables, baseline="baseline"):
    """Horizontal bars, one panel a data set: mean accuracy, and the 95 % interval over seeds as a
    whisker.

    Args:
        tables: dict title -> dict configuration -> `Estimate` (from `summarise`).
        baseline: the configuration that the dashed line marks.
    """
    rows = max(len(table) for table in tables.values())
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(5.2 * len(tables), 0.36 * rows + 1.3),
        layout="constrained",
        squeeze=False,
    )
    for ax, (title, table) in zip(axes[0], tables.items()):
        names = list(table)
        low, mean, high = bounds(table.values(), 100)
        sns.barplot(
            x=mean,
            y=names,
            hue=names,
            palette=[_colour(name) for name in names],
            legend=False,
            ax=ax,
            orient="h",
            width=0.7,
        )
        places = range(len(names))
        ax.plot([low, high], [places, places], color="black", linewidth=1.6)
        for place in places:
            ax.text(
                1.0,
                place,
                f"{mean[place]:.1f}",
                transform=ax.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=9.5,
            )  # a column at the edge, where neither whiskers nor the dashed line reach
        ax.axvline(100 * table[baseline].mean, color="black", linestyle="--", linewidth=0.8)
        span = high.max() - low.min()
        ax.set(
            title=title,
            xlabel="accuracy on test images, %",
            ylabel="",
            xlim=(low.min() - 0.15 * span, high.max() + 0.22 * span),
        )
    return figure


def _colour(name):
    return next((colour for word, colour in COLOURS.items() if word in name), BLUE)


def draw_sources(tables, baseline="stage1"):
    """Points with intervals for both looks: whole image, crop, merged, for each source of
    crops.

    Args:
        tables: dict title -> dict name -> `Estimate`; names are ``stage1``, ``stage2-<source>``,
            ``merged-<source>``.
    """
    figure, axes = plt.subplots(
        1, len(tables), figsize=(5.0 * len(tables), 3.6), layout="constrained", squeeze=False
    )
    order = {"central": "central box", "cropper": "ViT cropper", "truth": "annotated box"}
    for ax, (title, table) in zip(axes[0], tables.items()):
        first = table[baseline]
        ax.axhspan(100 * first.low, 100 * first.high, color=GREY, alpha=0.25, linewidth=0)
        ax.axhline(100 * first.mean, color=GREY, linewidth=1.4, label="one look alone")
        for offset, stage, colour, label in (
            (-0.1, "stage2", ORANGE, "the crop alone"),
            (0.1, "merged", BLUE, "both, merged"),
        ):
            found = [table[f"{stage}-{source}"] for source in order]
            places = np.arange(3) + offset
            draw_whiskers(ax, places, found, 100, capsize=4, color=colour, label=label)
        ax.set_xticks(range(3), order.values())
        ax.set(title=title, ylabel="accuracy on test images, %", xlim=(-0.5, 2.5))
        ax.legend(frameon=False, fontsize=9)
    return figure


def draw_curves(curves, labels, ylabel="accuracy, %"):
    """Accuracy (or a difference) against one factor a panel, with the 95 % interval over seeds as a
    band.

    Args:
        curves: dict factor -> dict configuration -> (values, list of `Estimate`).
        labels: dict configuration -> (text, colour).
        ylabel: what the estimates are, in per cent or points.
    """
    figure, axes = plt.subplots(
        1,
        len(curves),
        figsize=(4.1 * len(curves), 3.5),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    names = {
        "scale": "size of the bird (share of the picture)",
        "camouflage": "camouflage (0: none, 1: full)",
        "part_scale": "size of the deciding parts (1: natural)",
        "training_images": "training pictures of each species",
    }
    for ax, (factor, lines) in zip(axes[0], curves.items()):
        for configuration, (values, found) in lines.items():
            text, colour = labels[configuration]
            draw_band(ax, values, found, colour, text, unit=100)
        ax.set(xlabel=names.get(factor, factor))
        if factor == "training_images":  # three times as many is one step, wherever one starts
            ax.set_xscale("log")
            ax.set_xticks(values, values)
            ax.minorticks_off()
        ax.grid(axis="y", alpha=0.3)
        if (
            min(e.low for _, found in lines.values() for e in found) < 0
        ):  # differences: on which side of nothing?
            ax.axhline(0, color="black", linestyle="--", linewidth=0.8)
    axes[0][0].set_ylabel(ylabel)
    axes[0][0].legend(frameon=False, fontsize=9)
    return figure


def draw_confusion(confusion, classes, genus):
    """Confusion matrix in per cent of each row, with a frame around each genus.

    Args:
        confusion: (K, K) counts, row = truth, columns = prediction; classes of one genus stand
            together.
        classes: K names. genus: genus of each class.
    """
    share = 100 * confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    figure, ax = plt.subplots(figsize=(8.6, 7.2), layout="constrained")
    text = np.where(share >= 3, np.round(share).astype(int).astype(str), "")
    sns.heatmap(
        share,
        cmap="Blues",
        vmin=0,
        vmax=100,
        annot=text,
        fmt="",
        annot_kws={"fontsize": 7},
        square=True,
        xticklabels=classes,
        yticklabels=classes,
        cbar_kws={"label": "% of the species", "shrink": 0.7},
        ax=ax,
    )
    frame_groups(ax, list(genus))
    ax.set(xlabel="predicted", ylabel="true species")
    ax.tick_params(labelsize=8)
    return figure


def draw_failures(cases):
    """A gallery of errors, a row each: the picture with the crop's box, the crop that stage 2 saw,
    and the answers.

    To the left of each row stands what the second look did: both wrong, rescued, or spoiled.

    Args:
        cases: list of dicts: ``image`` and ``crop`` (PIL), ``box`` (xyxy pixels of ``image``),
            ``truth``, ``stage1``, ``stage2`` and ``merged`` (names).
    """
    figure, axes = panels(3 * len(cases), 3, size=(2.5, 1.95))
    said = {"true species": "truth", "whole image": "stage1", "crop": "stage2", "merged": "merged"}
    kinds = {
        (False, False): "both wrong",
        (False, True): "rescued",
        (True, False): "spoiled",
        (True, True): "right",
    }
    for case, picture, crop, answers in zip(cases, axes[0::3], axes[1::3], axes[2::3]):
        show_image(picture, case["image"], box=case["box"], smooth=True)
        picture.set_ylabel(
            kinds[case["stage1"] == case["truth"], case["merged"] == case["truth"]], fontsize=10
        )
        show_image(crop, case["crop"], smooth=True)
        answers.axis("off")
        for line, (who, key) in enumerate(said.items()):
            name, top = case[key], 0.97 - 0.25 * line
            colour = "black" if name == case["truth"] else RED
            answers.text(0, top, f"{who}:", va="top", fontsize=9, color="dimgrey")
            answers.text(0, top - 0.1, name, va="top", fontsize=10.5, color=colour)
    return figure


def draw_lucky_choice(best, single, truth):
    """Histograms of the accuracy of one model and of the best of several equal ones, with the truth
    as a line.
    """
    figure, ax = plt.subplots(figsize=(6.2, 3.0), layout="constrained")
    step = np.diff(np.unique(single)).min()  # one image; bins of three whole images leave no comb
    bins = (
        np.arange(
            min(single.min(), best.min()) - step / 2,
            max(single.max(), best.max()) + 3 * step,
            3 * step,
        )
        * 100
    )
    sns.histplot(100 * single, bins=bins, color=GREY, stat="probability", label="one model", ax=ax)
    sns.histplot(
        100 * best, bins=bins, color=ORANGE, stat="probability", label="the best of eight", ax=ax
    )
    ax.axvline(
        100 * truth, color="black", linestyle="--", linewidth=1, label="what all of them are worth"
    )
    ax.set(xlabel="accuracy on the test images, %", ylabel="share of repetitions")
    ax.legend(frameon=False)
    return figure
