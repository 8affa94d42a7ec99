"""One picture file to one uint8 array, as a viewer would show it; and pictures to one size."""

import dataclasses
import io
import warnings

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool, Source
from germline.core.splits import NAMES, Splits

# Formats that Pillow decodes by itself: PostScript, which runs a program, is not among them.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "MPO", "DIB")
GREY = ("1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "LA", "La")


class Unreadable(Exception):
    """Why one picture cannot be used."""


def decode(data: bytes, size: int | None = None) -> UInt8[np.ndarray, "h w c"]:
    """Return the picture as (height, width, 1 or 3) uint8, by its content, whatever its name says.

    The first frame; turned as EXIF says; 16 bits scaled to 8; alpha laid on white; palettes and CMYK made RGB. With ``size`` the
    short edge becomes that long and the centre is kept, antialiased (Lanczos).

    Raises:
        Unreadable: the file is empty, cut short, no picture, of floating-point pixels, or suspiciously large.
    """
    if not data:
        raise Unreadable("the file is empty (0 bytes)")
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN]) as file:
                picture = _plain(ImageOps.exif_transpose(file))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unreadable(f"it claims more than {Image.MAX_IMAGE_PIXELS:,} pixels; shrink it first") from None
    except UnidentifiedImageError:
        raise Unreadable("it is not a picture in a known format") from None
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost anything
        raise Unreadable(f"it is damaged ({str(error) or type(error).__name__})") from error
    pixels = np.asarray(fitted(picture, size))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def fitted(picture: Image.Image, size: int | None) -> Image.Image:
    """Return the picture's central square as ``size`` x ``size``, or the picture itself."""
    return picture if size is None or picture.size == (size, size) else ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def resized(splits: Splits, size: int | None) -> Splits:
    """Return the splits with every image brought to ``size`` x ``size``."""
    if size is None or splits.image_shape[:2] == (size, size):
        return splits
    source = Source(fitted_all(splits.real.sources[REAL].images, size))
    real, reserve, judge, held_out = (_on(getattr(splits, name), source) for name in NAMES)
    return Splits(splits.name, splits.classes, real, reserve, judge, held_out)


def _on(pool: Pool, source: Source) -> Pool:
    return dataclasses.replace(pool, sources={REAL: source})


def fitted_all(images: UInt8[np.ndarray, "n h w c"], size: int) -> UInt8[np.ndarray, "n {size} {size} c"]:
    """Return images brought to ``size`` x ``size``."""
    if size < 1:
        raise BadInput(f"size must be at least 1 pixel, but is {size}.")
    out = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for into, image in zip(out, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        into[:] = np.asarray(fitted(picture, size)).reshape(into.shape)
    return out


def _plain(picture: Image.Image) -> Image.Image:
    """Return the picture as "L" or "RGB"."""
    grey = picture.mode in GREY
    if picture.mode == "F":
        raise Unreadable("its pixels are floating-point numbers, whose scale is unknown; save it with 8 bits")
    if picture.mode.startswith("I"):
        return _sixteen_bits(picture)
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return picture.convert("L" if grey else "RGB")


def _sixteen_bits(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise Unreadable(f"its pixels go from {values.min()} to {values.max()}, whose scale is unknown; save it with 8 or 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))
