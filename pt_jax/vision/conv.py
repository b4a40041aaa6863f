"""A convolution of stride 1 that keeps the size of the image, and 2 x 2 average pooling, with samples as last axis.

    y[o, i, j, n] = sum over c, a, b of  x[c, i + a - r, j + b - r, n] k[a, b, c, o],    k of side 2 r + 1, x 0 outside

Three forms of the same sum, equal up to rounding. `lax` calls XLA's convolution; in lanes each model has its own
kernels, and for that it is several times slower on a CPU, as its derivatives are within a loop of XLA. `im2col` puts
the shifted images side by side and multiplies once. `winograd` takes four rows of y at a time from six of x, with half
of the multiplications:

    y_i = A^T [(G k) * (B^T x_i)],    k and x_i by rows, * a product of matrices for each of six combinations of rows

    A^T[i, j] = p_j^i,    G[j] = (1, p_j, p_j^2) / prod over l != j of (p_j - p_l),    p_j = 0, +-sqrt(1/2), +-sqrt(2)
    B^T[j]    = coefficients of prod over l != j of (z - p_l), the lowest first

and for the point at infinity A^T = (0, 0, 0, 1), G = (0, 0, 1), B^T the coefficients of the whole product: Toom and
Cook's interpolation. Each y rounds like the largest of the six rows of x: in float32, where these are alike, the error
of the whole y in norm is at most three times that of im2col, below 1e-6; a row near much larger ones loses digits, sums
that would be exactly 0 are so up to rounding, and a number that is not finite spoils up to three rows more.

It is for kernels of side 3; others go by im2col. In both the derivative to x is the same convolution with the kernel
turned by half a turn and its channels exchanged: autodiff would add up shifted images one by one, which is slower.
Derivatives of any order are taken in reverse mode; forward mode over them (`jax.jvp` of `convolve` itself), and
`jax.shard_map` with `check_vma=True`, work for lax alone. With samples last, a shift copies long rows: trained 16 at a
time, models took two thirds of the time of samples first.

Source: the filters F(4, 3) of 'Fast Algorithms for Convolutional Neural Networks' (arXiv 1509.09308), along rows.
"""

import math
from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FORMS = ("winograd", "im2col", "lax")
_ROWS = 4  # of y at a time


def _filters(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return A, G and B^T for these points and infinity, one less than rows of x."""
    gaps = points[:, None] - points + np.eye(len(points))
    a, g = (np.vander(points, size, increasing=True) for size in (_ROWS, 3))
    b = [np.append(np.poly(np.delete(points, j))[::-1], 0) for j in range(len(points))]
    of_x = np.array([*b, np.poly(points)[::-1]])
    of_x[abs(of_x) < 1e-9] = 0  # pairs of points cancel, up to rounding
    return np.vstack([a, np.eye(_ROWS)[-1]]), np.vstack([g / gaps.prod(1)[:, None], np.eye(3)[-1]]), of_x


_A, _G, _B = _filters(np.array([0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)]))


def convolve(images: Array, kernel: Array, form: str = "winograd") -> Array:
    """Return the convolution.

    Args:
        images: x, (C, H, W, n).
        kernel: k, (2 r + 1, 2 r + 1, C, O).
        form: "winograd", "im2col" or "lax".

    Returns:
        y, (O, H, W, n).

    Raises:
        ValueError: other shapes or types, a kernel whose side is even or whose channels are not those of the images,
            or another form.
    """
    if images.ndim != 4 or kernel.ndim != 4:
        raise ValueError(
            f"images have shape {images.shape}, kernel {kernel.shape}; expected (C, H, W, n), (s, s, C, O)."
        )
    of_images, of_kernel = jnp.result_type(images), jnp.result_type(kernel)  # as jax takes what NumPy holds in float64
    if of_images != of_kernel or not jnp.issubdtype(of_images, jnp.inexact):
        raise ValueError(f"images are {of_images}, kernel {of_kernel}; expected the same floating-point type.")
    height, width, channels, _ = kernel.shape
    if height != width or height % 2 == 0:
        raise ValueError(f"kernel is {height} x {width} pixels; expected the same odd number twice.")
    if channels != len(images):
        raise ValueError(f"kernel takes {channels} channels, but images have {len(images)}.")
    if form not in FORMS:
        raise ValueError(f"form = {form!r} is not accepted: use {', '.join(FORMS[:-1])} or {FORMS[-1]}.")
    if form == "lax":
        return _lax(images, kernel)
    return (_winograd if form == "winograd" and height == 3 else _im2col)(images, kernel)


def pool(images: Array) -> Array:
    """Return means over 2 x 2 pixels: (C, H, W, n) to (C, H/2, W/2, n).

    Raises:
        ValueError: a side is odd, or 0.
    """
    height, width = images.shape[1:3]
    if height % 2 or width % 2 or not height * width:
        raise ValueError(f"{height} x {width} pixels cannot be pooled by 2 x 2: use sides that 2 divides.")
    images = images / 4  # first: whole numbers would overflow
    rows = images[:, ::2] + images[:, 1::2]  # sums of slices: a reduction over short axes takes several times as long
    return rows[:, :, ::2] + rows[:, :, 1::2]


def samples_last(images: Array) -> Array:
    """Return images (n, H, W, C) as (C, H, W, n); twice gives them back."""
    return images.transpose(3, 1, 2, 0)


def _lax(images: Array, kernel: Array) -> Array:
    layout = ("CHWN", "HWIO", "CHWN")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)


def _turned(kernel: Array) -> Array:
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _product(kernels: Array, columns: Array) -> Array:
    """Return the products of kernels (i, K, O) and columns (i, K, H, W, n), one for each i: (i, O, H, W, n)."""
    # XLA would fold the transposition into the product, which on a CPU then takes up to twice as long.
    rows = jax.lax.optimization_barrier(kernels.swapaxes(1, 2))
    found = jnp.einsum("iok,ikp->iop", rows, _flat(columns))
    return found.reshape(*found.shape[:2], *columns.shape[2:])


def _product_over_pixels(columns: Array, slopes: Array) -> Array:
    """Return the slopes of the kernels (i, K, O), from columns and the slopes of products, as in `_product`."""
    return jnp.einsum("ikp,iop->iko", _flat(columns), _flat(slopes))


def _flat(x: Array) -> Array:
    """Return pixels and samples as one axis: XLA would transpose several, one number at a time."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _columns(images: Array, side: int) -> Array:
    """Return the shifted images side by side, (1, side side C, H, W, n)."""
    if side == 1:
        return images[None]
    h, w = images.shape[1:3]
    r = side // 2
    padded = jnp.pad(images, ((0, 0), (r, r), (r, r), (0, 0)))
    return jnp.concatenate([padded[:, a : a + h, b : b + w] for a in range(side) for b in range(side)])[None]


def _of_columns(columns: Array, kernel: Array) -> Array:
    return _product(kernel.reshape(1, -1, kernel.shape[3]), columns)[0]


@jax.custom_vjp
def _im2col(images: Array, kernel: Array) -> Array:
    return _of_columns(_columns(images, len(kernel)), kernel)


def _im2col_forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    columns = _columns(images, len(kernel))
    return _of_columns(columns, kernel), (columns, kernel)


def _im2col_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    columns, kernel = kept
    to_images = _of_columns(_columns(slope, len(kernel)), _turned(kernel))
    return to_images, _product_over_pixels(columns, slope[None]).reshape(kernel.shape)


_im2col.defvjp(_im2col_forward, _im2col_backward)


def _mixed(matrix: np.ndarray, parts: Array | Sequence[Array], axis: int = 0) -> Array:
    """Return sums of parts, whose factors are the rows of a matrix, stacked along an axis."""
    # Terms that are 0 are left out, and numbers of Python keep the precision of the parts.
    rows = ([(c, part) for c, part in zip(row.tolist(), parts, strict=True) if c] for row in matrix)
    return jnp.stack([cast(Array, sum(c * part for c, part in row)) for row in rows], axis)


def _tiles(images: Array) -> Array:
    """Return B^T x_i for all i, each with its three shifts along a row side by side: (6, 3 C, ceil(H / 4), W, n)."""
    h, w = images.shape[1:3]
    extra = -h % _ROWS
    padded = jnp.pad(images, ((0, 0), (1, 1 + extra), (1, 1), (0, 0)))
    mixed = _mixed(_B, [padded[:, row : row + h + extra - _ROWS + 1 : _ROWS] for row in range(_ROWS + 2)])
    return jnp.concatenate([mixed[:, :, :, b : b + w] for b in range(3)], 1)


def _of_tiles(tiles: Array, kernel: Array, height: int) -> Array:
    products = _product(_mixed(_G, kernel).reshape(*tiles.shape[:2], -1), tiles)
    found = _mixed(_A.T, products, 2)
    return found.reshape(len(found), _ROWS * found.shape[1], *found.shape[3:])[:, :height]


@jax.custom_vjp
def _winograd(images: Array, kernel: Array) -> Array:
    return _of_tiles(_tiles(images), kernel, images.shape[1])


def _winograd_forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    tiles = _tiles(images)
    return _of_tiles(tiles, kernel, images.shape[1]), (tiles, kernel)


def _winograd_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    tiles, kernel = kept
    height = slope.shape[1]
    padded = jnp.pad(slope, ((0, 0), (0, -height % _ROWS), (0, 0), (0, 0)))
    slopes = _mixed(_A, [padded[:, row::_ROWS] for row in range(_ROWS)])
    to_kernel = _mixed(_G.T, _product_over_pixels(tiles, slopes)).reshape(kernel.shape)
    return _of_tiles(_tiles(slope), _turned(kernel), height), to_kernel


_winograd.defvjp(_winograd_forward, _winograd_backward)
