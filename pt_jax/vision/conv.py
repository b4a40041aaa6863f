"""A convolution of stride 1 that keeps the size of the image, and 2 x 2 average pooling, with samples as last axis.

    y[o, i, j, n] = sum over c, a, b of  x[c, i + a - r, j + b - r, n] k[a, b, c, o],    k of side 2 r + 1, x 0 outside

Three forms of the same sum, equal up to rounding. `lax` calls XLA's convolution; in lanes each model has its own
kernels, and for that it is several times slower on a CPU. `im2col` puts the shifted images side by side and multiplies
once. `winograd` takes two rows of y at a time from four of x, with two thirds of the multiplications:

    y_i = A^T [(G k) * (B^T x_i)],    k and x_i by rows, * a product of matrices for each of four combinations of rows

It is for kernels of side 3 and images of even height and several channels; others go by im2col. In both the derivative
to x is the same convolution with the kernel turned by half a turn and its channels exchanged: autodiff would add up
shifted images one by one, which is slower. Only the first derivative is defined. With samples last, a shift copies long
rows: trained 16 at a time, models took two thirds of the time of samples first.

Source: the filters F(2, 3) of 'Fast Algorithms for Convolutional Neural Networks' (arXiv 1509.09308), along rows.
"""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

FORMS = ("winograd", "im2col", "lax")
_A = ((1, 0), (1, 1), (1, -1), (0, -1))
_B = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))  # transposed
_G = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))


def convolve(images: Array, kernel: Array, form: str = "winograd") -> Array:
    """Return the convolution.

    Args:
        images: x, (C, H, W, n).
        kernel: k, (2 r + 1, 2 r + 1, C, O).
        form: "winograd", "im2col" or "lax".

    Returns:
        y, (O, H, W, n).

    Raises:
        ValueError: a kernel whose side is even or whose channels are not those of the images, or another form.
    """
    height, width, channels, _ = kernel.shape
    if height != width or height % 2 == 0:
        raise ValueError(f"kernel is {height} x {width} pixels; expected the same odd number twice.")
    if channels != len(images):
        raise ValueError(f"kernel takes {channels} channels, but images have {len(images)}.")
    if form not in FORMS:
        raise ValueError(f"form = {form!r} is not accepted: use {', '.join(FORMS[:-1])} or {FORMS[-1]}.")
    if form == "lax":
        return _lax(images, kernel)
    by_tiles = form == "winograd" and height == 3 and channels > 1 and images.shape[1] % 2 == 0
    return (_winograd if by_tiles else _im2col)(images, kernel)


def pool(images: Array) -> Array:
    """Return means over 2 x 2 pixels: (C, H, W, n) to (C, H/2, W/2, n)."""
    rows = images[:, ::2] + images[:, 1::2]  # sums of slices: a reduction over short axes takes several times as long
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def samples_last(images: Array) -> Array:
    """Return images (n, H, W, C) as (C, H, W, n); twice gives them back."""
    return images.transpose(3, 1, 2, 0)


def _lax(images: Array, kernel: Array) -> Array:
    layout = ("CHWN", "HWIO", "CHWN")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)


def _turned(kernel: Array) -> Array:
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _product(columns: Array, kernel: Array) -> Array:
    # XLA would fold the transposition into the product, which on a CPU then takes up to twice as long.
    rows = jax.lax.optimization_barrier(kernel.reshape(-1, kernel.shape[-1]).T)
    return jnp.tensordot(rows, columns, ((1,), (0,)))


def _product_over_pixels(columns: Array, slope: Array) -> Array:
    return jnp.tensordot(columns, slope, ((1, 2, 3), (1, 2, 3)))


def _columns(images: Array, side: int) -> Array:
    """Return the shifted images side by side, (side side C, H, W, n)."""
    if side == 1:
        return images
    h, w = images.shape[1:3]
    r = side // 2
    padded = jnp.pad(images, ((0, 0), (r, r), (r, r), (0, 0)))
    return jnp.concatenate([padded[:, a : a + h, b : b + w] for a in range(side) for b in range(side)])


@jax.custom_vjp
def _im2col(images: Array, kernel: Array) -> Array:
    return _product(_columns(images, len(kernel)), kernel)


def _im2col_forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    columns = _columns(images, len(kernel))
    return _product(columns, kernel), (columns, kernel)


def _im2col_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    columns, kernel = kept
    to_images = _product(_columns(slope, len(kernel)), _turned(kernel))
    return to_images, _product_over_pixels(columns, slope).reshape(kernel.shape)


_im2col.defvjp(_im2col_forward, _im2col_backward)


def _mixed(matrix: Sequence[Sequence[float]], parts: Sequence[Array]) -> list[Array]:
    return [cast(Array, sum(c * part for c, part in zip(row, parts, strict=True) if c)) for row in matrix]


def _transposed(matrix: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*matrix, strict=True))


def _tiles(images: Array) -> list[Array]:
    """Return B^T x_i for all pairs of rows i, each with its three shifts along a row side by side: (3 C, H/2, W, n)."""
    h, w = images.shape[1:3]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    mixed = _mixed(_B, [padded[:, row : row + h - 1 : 2] for row in range(4)])
    return [jnp.concatenate([part[:, :, b : b + w] for b in range(3)]) for part in mixed]


def _of_tiles(tiles: Sequence[Array], kernel: Array) -> Array:
    products = [_product(tile, k) for tile, k in zip(tiles, _mixed(_G, list(kernel)), strict=True)]
    rows = jnp.stack(_mixed(_transposed(_A), products), 2)
    return rows.reshape(len(rows), 2 * rows.shape[1], *rows.shape[3:])


@jax.custom_vjp
def _winograd(images: Array, kernel: Array) -> Array:
    return _of_tiles(_tiles(images), kernel)


def _winograd_forward(images: Array, kernel: Array) -> tuple[Array, tuple[list[Array], Array]]:
    tiles = _tiles(images)
    return _of_tiles(tiles, kernel), (tiles, kernel)


def _winograd_backward(kept: tuple[list[Array], Array], slope: Array) -> tuple[Array, Array]:
    tiles, kernel = kept
    slopes = _mixed(_A, [slope[:, row::2] for row in range(2)])
    products = [_product_over_pixels(tile, part) for tile, part in zip(tiles, slopes, strict=True)]
    to_kernel = jnp.stack(_mixed(_transposed(_G), products)).reshape(kernel.shape)
    return _of_tiles(_tiles(slope), _turned(kernel)), to_kernel


_winograd.defvjp(_winograd_forward, _winograd_backward)
