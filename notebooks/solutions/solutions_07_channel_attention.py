"""Solutions of notebook 07."""

import torch


def channel_weights_of(x, w1, w2):
    """Exercise 7.1. Squeeze to one mean a channel, down through W1 and relu, up through W2 and
    sigmoid.
    """
    squeezed = x.mean(dim=(2, 3))  # (B, C)
    hidden = torch.relu(squeezed @ w1.T)  # (B, C / r)
    return torch.sigmoid(hidden @ w2.T)  # (B, C)


def se_parameters(channels, reduction):
    """Exercise 7.2. W1 is C / r x C and W2 is C x C / r, both without biases."""
    return 2 * channels * (channels // reduction)


def scale_map(x, s):
    """Exercise 7.3. One weight for each image and channel, the same at all positions."""
    return x * s[:, :, None, None]
