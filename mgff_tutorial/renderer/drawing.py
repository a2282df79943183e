"""Smooth curves, colours, and a canvas that draws a picture and its part map with the same
strokes.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw


@cache
def _spline_matrix(count, closed, samples):
    """A Catmull-Rom curve is linear in its control points: the matrix from them to the points of
    the curve.
    """
    t = np.arange(samples)[:, None] / samples
    basis = 0.5 * np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3],
        axis=1,
    )
    pieces = count if closed else count - 1
    matrix = np.zeros((pieces, samples, count))
    for piece in range(pieces):
        for column, neighbour in enumerate(range(piece - 1, piece + 3)):
            index = neighbour % count if closed else min(max(neighbour, 0), count - 1)
            matrix[piece, :, index] += basis[:, column]
    matrix = matrix.reshape(-1, count)
    return matrix if closed else np.concatenate([matrix, np.eye(count)[-1:]])


def spline(points, closed=True, samples=6):
    """Points of a smooth (Catmull-Rom) curve through ``points``, (N, 2) in, about (N * samples, 2)
    out.
    """
    points = np.asarray(points, dtype=float)
    return _spline_matrix(len(points), closed, samples) @ points


@cache
def _circle(samples):
    angle = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(centre, radius_x, radius_y=None, samples=28):
    """Outline of an ellipse with axes along x and y, (samples, 2)."""
    return np.asarray(centre) + _circle(samples) * (
        radius_x,
        radius_x if radius_y is None else radius_y,
    )


def ribbon(centre, widths):
    """Outline of a stroke along ``centre`` (N, 2) whose full width is ``widths`` (a number or N of
    them).
    """
    centre = np.asarray(centre, dtype=float)
    along = np.gradient(centre, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    half = across * (np.broadcast_to(widths, len(centre))[:, None] / 2)
    return np.concatenate([centre + half, (centre - half)[::-1]])


def direction(degrees):
    """Unit vector at an angle above the horizontal; y points down, as in pictures."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), -np.sin(angle)])


def turn(degrees):
    """Matrix that turns column vectors counter-clockwise as seen in a picture (y down)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s], [-s, c]])


def mix(a, b, amount):
    """The colour between ``a`` (amount 0) and ``b`` (amount 1)."""
    return tuple(int(round(x + (y - x) * amount)) for x, y in zip(a, b))


def shade(colour, factor):
    """A colour made darker (factor below 1) or lighter (above 1)."""
    return tuple(int(min(255, max(0, round(c * factor)))) for c in colour)


class Canvas:
    """An RGB picture, drawn ``oversample`` times too large, and a part map of the final size.

    Coordinates are fractions of the picture's side, so one set of strokes serves every size.

    Args:
        image: what is drawn on, RGB, side ``size * oversample``; ``part_map``: mode L, side
            ``size``.
        origin: (x, y) in final pixels of the canvas' corner; not zero for a layer that covers a
            part of the picture.
    """

    def __init__(self, image, part_map, size, oversample, origin=(0, 0)):
        self.image, self.part_map = image, part_map
        self.scale, self.size = size * oversample, size
        self.origin = np.array(origin, dtype=float)
        self.offset = self.origin * oversample
        self._draw = ImageDraw.Draw(image)
        self._map = ImageDraw.Draw(part_map) if part_map is not None else None

    def _pixels(self, points):
        return (np.asarray(points) * self.scale - self.offset - 0.5).ravel().tolist()

    def _map_pixels(self, points):
        return (np.asarray(points) * self.size - self.origin - 0.5).ravel().tolist()

    def polygon(self, points, colour, part=None):
        """Fill a polygon (N, 2); ``part`` is its value in the part map (None: the map stays as it
        is).
        """
        if colour is not None:
            self._draw.polygon(self._pixels(points), fill=colour)
        if part is not None and self._map is not None:
            self._map.polygon(self._map_pixels(points), fill=part)

    def stroke(self, points, colour, width, part=None):
        """A line through ``points`` (N, 2) of a full width in the same unit; thin lines stay
        visible.
        """
        pixels = max(1, int(round(width * self.scale)))
        self._draw.line(
            self._pixels(points), fill=colour, width=pixels, joint="curve" if pixels > 4 else None
        )
        if part is not None and self._map is not None:
            self._map.polygon(
                self._map_pixels(ribbon(points, max(width, 1.3 / self.size))), fill=part
            )


def blank(size, colour=0):
    """A new picture: RGB for a colour, mode L for a number."""
    return Image.new("RGB" if isinstance(colour, tuple) else "L", size, colour)
