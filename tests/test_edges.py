"""A coarse map takes the edges of an image: the guided filter, by hand and by least squares."""

import numpy as np
import torch

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.response import RULES, enlarge, response_map
from mgff_tutorial.support.edges import follow_edges, window_mean


def scene(edge=37):
    """A picture of 56 x 56 with a red right side that begins in mid-patch, and its patches."""
    image = torch.zeros(1, 3, 56, 56)
    image[:, 0, :, edge:] = 1.0
    return image, torch.nn.functional.avg_pool2d(image[:, 0], 14)  # (1, 4, 4)


def test_the_map_changes_where_the_image_does():
    image, weights = scene()
    plain, fitted = enlarge(weights, 56)[0, 0], enlarge(weights, 56, image)[0, 0]
    assert ((fitted > 0.5 * fitted.max()) == (image[0, 0] > 0.5)).all()
    # One step at the edge, not a ramp of two patches.
    steps = fitted[28].diff(), plain[28].diff()
    assert steps[0].argmax() == 36 and steps[0].max() > 0.6 > 0.1 > steps[1].max()


def test_an_even_image_leaves_the_map_smooth_and_its_mean_in_place():
    torch.manual_seed(0)
    weights = torch.rand(2, 4, 4)
    fitted = follow_edges(weights, torch.full((2, 3, 56, 56), 0.3))
    smooth = torch.nn.functional.interpolate(weights[:, None], (16, 16), mode="bilinear")
    for _ in range(2):  # windows are fitted, and a place lies in many
        smooth = window_mean(smooth, 4)
    smooth = torch.nn.functional.interpolate(smooth, (56, 56), mode="bilinear")[:, 0]
    torch.testing.assert_close(fitted, smooth, atol=1e-4, rtol=0)


def test_each_window_is_a_least_squares_problem():
    torch.manual_seed(0)
    image, weights, ridge = torch.rand(1, 3, 16, 16), torch.rand(1, 4, 4), 0.005
    fitted = follow_edges(weights, image, ridge=ridge)  # four cells per patch: the image's pixels
    target = torch.nn.functional.interpolate(weights[:, None], (16, 16), mode="bilinear")[0, 0]
    pad = np.pad(image[0].numpy(), ((0, 0), (4, 4), (4, 4)), mode="edge").astype(float)
    goal = np.pad(target.numpy(), 4, mode="edge").astype(float)
    fits = np.empty((16, 16, 4))
    for i in range(16):
        for j in range(16):
            window = pad[:, i : i + 9, j : j + 9].reshape(3, -1)
            x = np.concatenate([window, np.ones((1, 81))]).T
            rows = np.concatenate([x, np.diag(np.sqrt([81 * ridge] * 3 + [0.0]))])
            values = np.concatenate([goal[i : i + 9, j : j + 9].ravel(), np.zeros(4)])
            fits[i, j] = np.linalg.lstsq(rows, values, rcond=None)[0]
    fits = np.pad(fits, ((4, 4), (4, 4), (0, 0)), mode="edge")
    for i, j in ((0, 0), (7, 9), (15, 3)):
        fit = fits[i : i + 9, j : j + 9].mean(axis=(0, 1))
        expected = fit[:3] @ image[0, :, i, j].numpy() + fit[3]
        assert abs(fitted[0, i, j].item() - expected) < 1e-3


def test_weights_are_cut_at_three_times_their_mean():
    image, weights = scene()
    weights = weights + 0.01
    weights[0, 0, 3] = 100.0  # mean 6.7: it is cut, and nothing else is
    cut = weights.clamp(max=3 * weights.mean())
    torch.testing.assert_close(follow_edges(weights, image), follow_edges(cut, image, cap=1e9))


def test_the_rule_is_the_default_one_with_edges():
    import timm

    torch.manual_seed(0)
    vit = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4, num_classes=0).eval()
    cropper, x = ViTCropper(vit, "attended_object_edges"), torch.rand(2, 3, 64, 64)
    plain = ViTCropper(vit, "attended_object")
    assert RULES["attended_object_edges"].tau == cropper.tau == 0.9
    torch.testing.assert_close(cropper.weights(x), plain.weights(x))
    expected = enlarge(plain.weights(x), 64, x)
    assert not torch.allclose(expected, plain.response_map(x))
    for found in (cropper.response_map(x), cropper(x).response):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(response_map(vit, x, "attended_object_edges"), expected)
    large = torch.nn.functional.interpolate(x, 128, mode="bilinear")  # the ViT sees it resized
    assert cropper(large).response.shape == (2, 1, 128, 128)
