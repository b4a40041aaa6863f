"""The forms of a convolution against each other, with their derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.vision.conv import FORMS, convolve, pool, samples_last
from tests.compiling import jit


def draw(side, channels=3, out=4, dtype=jnp.float32):
    rng = np.random.default_rng(side)
    shapes = ((channels, 6, 4, 5), (side, side, channels, out), (out, 6, 4, 5))
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def both_derivatives(form, x, kernel, slope):
    y, back = jax.vjp(lambda x, k: convolve(x, k, form), x, kernel)
    return y, *back(slope)


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("form", ["winograd", "im2col"])
def test_a_form_equals_lax_with_both_derivatives(form, side):
    x, kernel, slope = draw(side)
    results = [jit(partial(both_derivatives, name))(x, kernel, slope) for name in (form, "lax")]
    for a, b in zip(*results, strict=True):
        # Sums of up to 120 float32 products of order 1, in another order.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=4e-5)


def test_no_samples_are_no_samples():
    x, kernel, _ = draw(3)
    for form in FORMS:
        assert convolve(x[..., :0], kernel, form).shape == (kernel.shape[3], *x.shape[1:3], 0)


@pytest.mark.parametrize("height", [1, 2, 3, 5, 7, 8])
def test_any_height_is_convolved(height):
    x, kernel, slope = draw(3)
    x, slope = (jnp.tile(images, (1, 2, 1, 1))[:, :height] for images in (x, slope))
    results = [jit(partial(both_derivatives, name))(x, kernel, slope) for name in ("winograd", "lax")]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=4e-5)


def test_float64_agrees_to_its_rounding():
    with jax.enable_x64(True):
        x, kernel, _ = draw(3, dtype=jnp.float64)
        *others, lax = (jit(partial(convolve, form=form))(x, kernel) for form in FORMS)
        for y in others:
            assert y.dtype == np.float64
            np.testing.assert_allclose(y, lax, rtol=1e-12, atol=1e-12)


def test_in_float32_winograd_errs_at_most_three_times_as_much_as_im2col():
    rng = np.random.default_rng(0)
    shapes = (16, 32, 32, 4), (3, 3, 16, 16), (16, 32, 32, 4)
    drawn = [np.float32(rng.normal(size=shape)) for shape in shapes]
    with jax.enable_x64(True):
        exact = list(map(np.asarray, jit(partial(both_derivatives, "im2col"))(*map(np.float64, drawn))))

    def errors(form):
        found = map(np.asarray, jit(partial(both_derivatives, form))(*drawn))
        return np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, exact, strict=True)])

    assert np.all(errors("winograd") < np.minimum(3 * errors("im2col"), 1e-6))


def test_each_lane_has_its_own_kernel():
    x, kernel, _ = draw(3)
    kernels = jnp.stack([kernel, 2 * kernel, kernel[::-1]])
    together = jax.vmap(convolve, (None, 0))(x, kernels)
    for one, k in zip(together, kernels, strict=True):
        np.testing.assert_allclose(one, convolve(x, k), rtol=1e-5, atol=1e-5)


def test_pooling_is_the_mean_of_four():
    x = jnp.arange(2 * 4 * 4.0).reshape(2, 4, 4, 1)
    np.testing.assert_array_equal(pool(x)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    images = jnp.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(samples_last(samples_last(images)), images)
    assert samples_last(images).shape == (5, 3, 4, 2)


def test_whole_numbers_are_pooled_without_overflow():
    assert pool(jnp.full((1, 2, 2, 1), 200, jnp.uint8)) == 200


def test_arrays_of_numpy_are_taken_as_jax_takes_them():
    x, kernel, _ = draw(3)
    for form in FORMS:
        np.testing.assert_array_equal(convolve(np.float64(x), np.float64(kernel), form), convolve(x, kernel, form))
        np.testing.assert_array_equal(convolve(np.float64(x), kernel, form), convolve(x, kernel, form))


def test_a_second_derivative_equals_that_of_lax():
    def curvature(form):
        def bent(kernel):
            return jnp.sum(slope * convolve(x, kernel, form) ** 3)

        return jit(jax.grad(lambda k: jnp.sum(jax.grad(bent)(k) ** 2)))(kernel)

    with jax.enable_x64(True):
        x, kernel, slope = draw(3, dtype=jnp.float64)
        *others, lax = map(curvature, FORMS)
    for found in others:
        np.testing.assert_allclose(found, lax, rtol=1e-9)


def test_bad_input_is_one_clear_sentence():
    x, kernel, _ = draw(3)
    for height, width in ((3, 4), (4, 1), (0, 2)):
        with pytest.raises(ValueError, match=f"{height} x {width} pixels cannot be pooled by 2 x 2"):
            pool(jnp.zeros((1, height, width, 1)))
    for form in FORMS:
        with pytest.raises(ValueError, match="images are bfloat16, kernel float32; expected the same floating-point"):
            convolve(x.astype(jnp.bfloat16), kernel, form)
        with pytest.raises(ValueError, match="images are int32, kernel int32; expected the same floating-point type"):
            convolve(x.astype(int), kernel.astype(int), form)
    with pytest.raises(
        ValueError, match=r"images have shape \(6, 4, 5\), kernel \(3, 3, 3, 4\); expected \(C, H, W, n\)"
    ):
        convolve(x[0], kernel)
    with pytest.raises(ValueError, match="2 x 2 pixels; expected the same odd number twice"):
        convolve(x, kernel[:2, :2])
    with pytest.raises(ValueError, match="takes 2 channels, but images have 3"):
        convolve(x, kernel[:, :, :2])
    with pytest.raises(ValueError, match="form = 'fft' is not accepted: use winograd, im2col or lax"):
        convolve(x, kernel, "fft")
