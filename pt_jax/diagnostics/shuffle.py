"""Images cut into blocks that are put back in another order: what is left is what a block holds.

Cut an image into blocks of size x size pixels, all channels together, and permute the blocks. The permutation comes
from the key alone, so that one key serves every image of a run, training and test. `pixels` permutes all H W C entries,
across channels too. Both only move entries: the histogram stays, and the inverse is exact.

Source: 'What is being transferred in transfer learning?', arXiv 2008.11687.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import array
from pt_jax.inputs.arguments import typed_key


def blocks(key: Array, images: ArrayLike, size: ArrayLike) -> Array:
    """Permute the blocks of the images, one permutation for all of them.

    Args:
        key: a typed key; it fixes the permutation.
        images: (n, H, W, C).
        size: side of a block in pixels; it divides H and W. The image's side is the identity, 1 permutes pixels.
            It may be traced, so that it can be an axis: then a size that does not divide gives NaN.

    Returns:
        The shuffled images, (n, H, W, C).

    Raises:
        ValueError: images of another number of dimensions, a size that does not divide them, or no typed key.
    """
    images, size = _images(images), _size(images, size)
    return _move(images, size, _source(key, images, size))


def blocks_inverse(key: Array, images: ArrayLike, size: ArrayLike) -> Array:
    """Undo `blocks` with the same key and size, exactly; arguments, result and errors as there."""
    images, size = _images(images), _size(images, size)
    return _move(images, size, jnp.argsort(_source(key, images, size)))


def pixels(key: Array, images: ArrayLike) -> Array:
    """Permute all entries of an image, across channels too, one permutation for all images.

    Args:
        key: a typed key; it fixes the permutation.
        images: (n, H, W, C).

    Returns:
        The shuffled images, (n, H, W, C).

    Raises:
        ValueError: images of another number of dimensions, or no typed key.
    """
    images = _images(images)
    return _entries(images, _order(key, images))


def pixels_inverse(key: Array, images: ArrayLike) -> Array:
    """Undo `pixels` with the same key, exactly; arguments, result and errors as there."""
    images = _images(images)
    return _entries(images, jnp.argsort(_order(key, images)))


def _order(key: Array, images: Array) -> Array:
    return jax.random.permutation(typed_key(key), images[0].size)


def _entries(images: Array, source: Array) -> Array:
    return jnp.take(images.reshape(len(images), -1), source, axis=1).reshape(images.shape)


def _source(key: Array, images: Array, size: Array | np.ndarray) -> Array:
    """Return the pixel that each pixel of the shuffled image comes from, (H W,); `size` may be traced."""
    height, width = images.shape[1:3]
    size = jnp.maximum(jnp.asarray(size).astype(int), 1)
    across = width // size
    index = jnp.arange(height * width)
    # A random order of the blocks in use, with the rest of the padded vector behind them.
    order = jnp.lexsort((jax.random.bits(typed_key(key), index.shape, jnp.uint32), index >= (height // size) * across))
    row, column = index // width, index % width
    block = order[(row // size) * across + column // size]
    return (block // across * size + row % size) * width + block % across * size + column % size


def _move(images: Array, size: Array | np.ndarray, source: Array) -> Array:
    moved = jnp.take(images.reshape(len(images), -1, images.shape[3]), source, axis=1).reshape(images.shape)
    if not isinstance(size, jax.core.Tracer):
        return moved
    height, width = images.shape[1:3]
    whole = jnp.where(size >= 1, size, jnp.nan)  # NaN where it is no size: its remainder is not 0
    return jnp.where((height % whole == 0) & (width % whole == 0) & (whole % 1 == 0), moved, jnp.nan)


def _images(images: ArrayLike) -> Array:
    images = array("images", images)
    if images.ndim != 4:
        raise ValueError(f"images has shape {images.shape}; expected (samples, height, width, channels).")
    return jnp.asarray(images)


def _size(images: Array, size: ArrayLike) -> Array | np.ndarray:
    size = array("size", size)
    if size.shape != ():
        raise ValueError(f"size has shape {size.shape}; expected one number.")
    if isinstance(size, jax.core.Tracer):
        return size
    height, width = images.shape[1:3]
    size = np.asarray(size)  # NumPy, so that constants are checked under jit too
    if not (size >= 1 and size % 1 == height % size == width % size == 0):
        expected = f"a whole number of pixels that divides the image, {height} x {width}"
        raise ValueError(f"size is {size}; expected {expected}.")
    return size
