"""A convolution of stride 1 that keeps the size of the image, and 2 x 2 average pooling, with samples as last axis.

    y[o, i, j, n] = sum over c, a, b of  x[c, i + a - r, j + b - r, n] k[a, b, c, o],    k of side 2 r + 1, x 0 outside

`im2col` puts the shifted images side by side and multiplies once; its derivative to x is the same convolution with the
kernel turned by half a turn and its channels exchanged. `lax` calls XLA's convolution. In lanes each model has its own
kernels, and XLA's convolution for that is several times slower on a CPU. With samples last, a shift copies long rows:
trained 16 at a time, models took two thirds of the time of samples first. Only the first derivative is defined.
"""

import jax
import jax.numpy as jnp
from jax import Array

FORMS = ("im2col", "lax")


def convolve(images: Array, kernel: Array, form: str = "im2col") -> Array:
    """Return the convolution.

    Args:
        images: x, (C, H, W, n).
        kernel: k, (2 r + 1, 2 r + 1, C, O).
        form: "im2col" or "lax".

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
        raise ValueError(f"form = {form!r} is not accepted: use {' or '.join(FORMS)}.")
    return (_im2col if form == "im2col" else _lax)(images, kernel)


def pool(images: Array) -> Array:
    """Return means over 2 x 2 pixels: (C, H, W, n) to (C, H/2, W/2, n)."""
    c, h, w, n = images.shape
    return images.reshape(c, h // 2, 2, w // 2, 2, n).mean((2, 4))


def samples_last(images: Array) -> Array:
    """Return images (n, H, W, C) as (C, H, W, n); twice gives them back."""
    return images.transpose(3, 1, 2, 0)


def _lax(images: Array, kernel: Array) -> Array:
    layout = ("CHWN", "HWIO", "CHWN")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)


def _columns(images: Array, side: int) -> Array:
    """Return the shifted images side by side, (side side C, H, W, n)."""
    if side == 1:
        return images
    h, w = images.shape[1:3]
    r = side // 2
    padded = jnp.pad(images, ((0, 0), (r, r), (r, r), (0, 0)))
    return jnp.concatenate([padded[:, a : a + h, b : b + w] for a in range(side) for b in range(side)])


def _product(columns: Array, kernel: Array) -> Array:
    return jnp.tensordot(kernel.reshape(-1, kernel.shape[-1]), columns, ((0,), (0,)))


@jax.custom_vjp
def _im2col(images: Array, kernel: Array) -> Array:
    return _product(_columns(images, len(kernel)), kernel)


def _forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    columns = _columns(images, len(kernel))
    return _product(columns, kernel), (columns, kernel)


def _backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    """Written out because autodiff would add up shifted images one by one, which is slower than a convolution."""
    columns, kernel = kept
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    to_kernel = jnp.tensordot(columns, slope, ((1, 2, 3), (1, 2, 3)))
    return _product(_columns(slope, len(kernel)), turned), to_kernel.reshape(kernel.shape)


_im2col.defvjp(_forward, _backward)
