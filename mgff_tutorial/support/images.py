"""Open a picture file safely: always upright, always RGB, always one clear sentence when it cannot
be used.

Photographs that circulate in data sets are grayscale, CMYK, 16-bit, palette, transparent, animated,
rotated by a tag of the camera, cut off, or no pictures at all. Everything in the package opens
files through `open_image`, so training, prediction and the notebooks see the same pixels.
"""

import contextlib
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import DataError, InputError

# Formats that Pillow decodes by itself. EPS and the like start other programs, so they are not
# accepted.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
EXTENSIONS = {
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".avif",
}
# what telephones and cameras write besides, and Pillow does not read
UNREAD = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}
MAX_PIXELS = (
    100_000_000  # 10,000 x 10,000; a small file can claim to be far larger (a decompression bomb)
)
BYTES = 256 * 2**20  # of pictures that are held at a time: decoded, or as numbers
ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held

# Pillow warns of odd EXIF, once for each photograph, and of large pictures, whose size is checked
# below. A filter for the whole process, because filters set around each call would not be safe in
# threads.
for _category in (UserWarning, Image.DecompressionBombWarning):
    warnings.filterwarnings("ignore", category=_category, module=r"PIL\.")


def open_image(path, least=None):
    """Read a picture file into an upright RGB PIL image.

    Args:
        path: of the file.
        least: pixels of the shorter side that are enough. A larger picture is made 2, 4 or 8 times
            smaller while it is decoded (JPEG) or after it, as long as so many are left; its
            ``info["full_size"]`` then says how large it was (see `full_scale`).

    EXIF orientation is applied; transparency is laid on white; 16-bit grey is scaled to 8 bits; an
    animation gives its first frame. The file format is found from the bytes, whatever the extension
    says.

    Raises:
        DataError: the file is missing, empty, cut off, too large or no picture; the message names
            it.
    """
    with _opened(path) as image:
        full = image.size
        factor = 1 if least is None else _reduction(full, least)
        if factor > 1:
            image.draft(None, (full[0] // factor, full[1] // factor))  # JPEG alone can do it
        upright = upright_rgb(image)
        if factor > 1:
            turned = (upright.width < upright.height) != (full[0] < full[1])
            if (left := _reduction(upright.size, least)) > 1:
                upright = upright.reduce(left)
            upright.info = {"full_size": full[::-1] if turned else full}
        return upright


def _reduction(size, least):
    """By how much a picture can be made smaller so that its shorter side keeps ``least`` pixels."""
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or min(size) // factor >= least)


def reduced_size(size, least=None):
    """(width, height) in which `open_image` gives a picture of that size, to a pixel."""
    factor = 1 if least is None else _reduction(size, least)
    return size[0] // factor, size[1] // factor


def full_scale(image):
    """(x, y): by what coordinates in an image that `open_image` made smaller are multiplied to be
    those in the whole picture; (1, 1) for any other.
    """
    width, height = image.info.get("full_size", image.size)
    return width / image.width, height / image.height


def images_per_pass(images):
    """How many of these PIL images or (3, H, W) tensors to take at a time, so that as float32
    numbers they need no more than `BYTES`: 1 to 64.
    """
    sizes = (image.shape[1:] if hasattr(image, "shape") else image.size for image in images)
    return max(1, min(64, BYTES // max(12 * a * b for a, b in sizes)))


def upright_rgb(image):
    """A PIL image of any mode as a new upright RGB image without EXIF, so that nothing turns it a
    second time.
    """
    image.load()
    turn = exif_orientation(
        image
    )  # after load(): Pillow turns a TIFF itself there, and drops the tag
    upright = _to_rgb(image)
    if turn != 1:
        upright = upright.transpose(_TRANSPOSE[turn])
    upright.info = {}
    upright._exif = None  # Pillow caches what it parsed
    return upright


def image_geometry(path):
    """Width and height as stored, and EXIF orientation (1 to 8), from the header alone.

    Returns:
        ((width, height), orientation).

    Raises:
        DataError: as `open_image`, as far as the header shows it.
    """
    with _opened(path) as image:
        orientation = exif_orientation(image)
        if (
            image.format == "TIFF"
        ):  # newer Pillow gives the upright size, older the stored one; the tags never change
            return (int(image.tag_v2[256]), int(image.tag_v2[257])), orientation
        return image.size, orientation


def upright_size(size, orientation):
    """(width, height) of the picture after its EXIF orientation was applied."""
    width, height = size
    return (height, width) if orientation >= 5 else (width, height)


def upright_points(points, size, orientation):
    """Follow points through the EXIF orientation.

    Args:
        points: (N, 2) array of x, y in pixels of the stored picture (edges at 0 and width).
        size: (width, height) as stored.
        orientation: 1 to 8.

    Returns:
        (N, 2) array in pixels of the upright picture.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    (width, height), x, y = size, points[:, 0], points[:, 1]
    turned = {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }
    return np.stack(turned[orientation], axis=1)


def upright_box(box, size, orientation):
    """Follow one box (xyxy pixels of the stored picture) through the EXIF orientation; returns 4
    floats.
    """
    corners = upright_points(np.asarray(box, dtype=np.float64).reshape(2, 2), size, orientation)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def _opened(path):
    """The picture in a file, as Pillow opens it; every failure inside becomes a `DataError`."""
    path = Path(path)
    _check_file(path)
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        # An open file, not its name: named files are mapped into memory, which loses the
        # orientation of grey TIFFs (Pillow 13) and kills the process if the file shrinks meanwhile.
        with open(path, "rb") as file, Image.open(file, formats=formats) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"{path} claims {width} x {height} pixels; more than {MAX_PIXELS:,} are not "
                    "opened."
                )
            yield image
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} {_reason(error)}.") from error


def _check_file(path):
    """Refuse what ``open`` would hang on or report in its own words: missing, folder, pipe, empty,
    link loop.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except (
        OSError,
        ValueError,
    ) as error:  # a loop of links, a forbidden folder, a name with a zero byte
        raise DataError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    for found, what in (
        (stat.S_ISDIR(status.st_mode), "a folder, not an image file"),
        (not stat.S_ISREG(status.st_mode), "not a regular file"),
        (status.st_size == 0, "empty (0 bytes)"),
    ):
        if found:
            raise DataError(f"{path} is {what}.")


def _reason(error):
    """One clause for what Pillow raised."""
    words = str(error).strip().rstrip(".") or type(error).__name__
    clauses = (
        (
            Image.DecompressionBombError,
            f"claims far more than {MAX_PIXELS:,} pixels and is not opened",
        ),
        (
            Image.UnidentifiedImageError,
            f"is not an image that can be read (accepted: {', '.join(FORMATS)})",
        ),
        (PermissionError, "cannot be read: permission denied"),
        (Exception, f"is a damaged or cut off image ({words})"),
    )
    return next(clause for kind, clause in clauses if isinstance(error, kind))


def exif_orientation(image):
    """EXIF orientation 1 to 8; broken or absent EXIF counts as 1, as in every viewer."""
    try:
        value = int(image.getexif().get(ORIENTATION, 1))
    except (
        Exception
    ):  # EXIF is written by every camera in its own way, and Pillow raises many kinds of errors
        return 1
    return value if 1 <= value <= 8 else 1


def _to_rgb(image):
    """8-bit RGB of a loaded image of any mode."""
    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        return _wide_grey_to_rgb(image)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")
    return image.convert("RGB")


def _wide_grey_to_rgb(image):
    """16-bit, 32-bit and float grey scaled to 8 bits; plain ``convert`` would clip all of it to
    white.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("the image holds values that are not finite")
    top = values.max(initial=0)
    if image.mode.startswith("I;16") or 255 < top <= 65535:
        full = 65535
    elif image.mode == "F" and top <= 1:
        full = 1
    else:
        full = max(255, top)
    grey = (values / full * 255).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
