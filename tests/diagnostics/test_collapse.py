"""Neural collapse: simplex frames, Gaussians, NumPy with D x D matrices, and what must not matter."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import collapse
from tests.compiling import jit
from tests.diagnostics.cases import assert_float32_is_close, assert_one_trace, assert_vmap_equals_loop, stack

metrics = jit(collapse.metrics)
OF = ("", "_weights")  # of the class means, and of the rows of W


def rotation(d, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def simplex(classes, d):
    """Return the K vertices of a simplex ETF in R^d, turned at random."""
    vertices = np.eye(classes) - 1 / classes
    padded = np.zeros((classes, max(d, classes)))
    padded[:, :classes] = vertices @ rotation(classes, 2)
    # K vertices span K-1 dimensions: the last of the right singular vectors is not needed.
    return (padded @ np.linalg.svd(padded)[2].T)[:, :d] @ rotation(d)


def case(seed=0, classes=4, d=6, sizes=(9, 9, 9, 9), spread=1.0):
    """Return features, labels, weight and bias, with means at random and a classifier that is near them."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, d)) * 2
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = means[labels] + spread * rng.normal(size=(len(labels), d)) @ rng.normal(size=(d, d)) + 3
    return features, labels, means + rng.normal(size=means.shape), rng.normal(size=classes)


def reference(features, labels, weight, bias):
    """Return the definitions as they are written, with D x D matrices; all classes occur."""
    classes, d = weight.shape
    means = np.stack([features[labels == k].mean(0) for k in range(classes)])
    m = means - means.mean(0)
    within = (features - means[labels]).T @ (features - means[labels]) / len(features)
    between = m.T @ m / classes
    u, s, vt = np.linalg.svd(between)
    kept = slice(0, min(classes - 1, d))
    inverse = (vt[kept].T / s[kept]) @ u[:, kept].T
    etf = (np.eye(classes) - 1 / classes) / np.sqrt(classes - 1)
    variance = [np.mean(np.sum((features[labels == k] - means[k]) ** 2, 1)) for k in range(classes)]
    pairs = [(i, j) for i in range(classes) for j in range(i)]
    nearest = np.argmin(np.sum((features[:, None] - means) ** 2, 2), 1)
    norms = [np.linalg.norm(x, axis=1) for x in (m, weight)]
    cosines = [[x[i] @ x[j] / n[i] / n[j] for i, j in pairs] for x, n in zip((m, weight), norms, strict=True)]
    return {
        "nc1": np.trace(inverse @ within) / classes,
        "nc1_quotient": np.trace(within) / np.trace(between),
        "nc2": np.linalg.norm(m @ m.T / np.linalg.norm(m @ m.T) - etf),
        "nc2_weights": np.linalg.norm(weight @ weight.T / np.linalg.norm(weight @ weight.T) - etf),
        "nc3": np.linalg.norm(weight @ m.T / np.linalg.norm(weight @ m.T) - etf),
        "nc3_distance": np.sum((weight / np.linalg.norm(weight) - m / np.linalg.norm(m)) ** 2),
        "nc4": np.mean(np.argmax(features @ weight.T + bias, 1) == nearest),
        "nc4_no_bias": np.mean(np.argmax(features @ weight.T, 1) == nearest),
        "cdnv": np.mean([(variance[i] + variance[j]) / 2 / np.sum((means[i] - means[j]) ** 2) for i, j in pairs]),
        **{f"equinorm{of}": np.std(x, ddof=1) / np.mean(x) for of, x in zip(OF, norms, strict=True)},
        **{f"equiangularity{of}": np.std(x) for of, x in zip(OF, cosines, strict=True)},
        **{f"angle{of}": np.mean(np.abs(np.add(x, 1 / (classes - 1)))) for of, x in zip(OF, cosines, strict=True)},
    }


ZERO = 1e-6  # two means are always a simplex: NC2 = 0, here the rounding of float32
CASES = [
    dict(),
    dict(sizes=(3, 20, 9, 5)),  # classes of unequal size
    dict(classes=8, d=5, sizes=(7,) * 8),  # fewer features than K-1
    dict(classes=2, d=3, sizes=(10, 12)),
    dict(classes=5, d=40, sizes=(4,) * 5),  # fewer samples than features
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_metrics_are_their_definitions(number):
    args = case(**CASES[number])
    expected = collapse.Collapse(**reference(*args))
    # float32: sums of some 100 terms, times the condition number of the class means, below 100.
    np.testing.assert_allclose(metrics(*args), expected, rtol=1e-4, atol=ZERO)


@pytest.mark.parametrize(("classes", "d"), [(2, 1), (5, 9), (10, 64)])
def test_a_simplex_without_spread_is_collapsed(classes, d):
    vertices = simplex(classes, d)
    labels = np.repeat(np.arange(classes), np.arange(classes) + 2)
    found = metrics(vertices[labels] * 5 + 2, labels, vertices * 0.3, np.zeros(classes) - 0.3 * 2 * vertices.sum(1))
    # nc1, nc1_quotient, nc3_distance and cdnv are squares of float32 rounding, the others rounding of K^2 entries.
    expected = collapse.Collapse(*[0.0] * 15)._replace(nc4=1.0, nc4_no_bias=found.nc4_no_bias)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert max(found.nc1, found.nc1_quotient, found.cdnv) < 1e-11


def test_no_spread_gives_nc1_0_for_any_means():
    features, labels, weight, bias = case()
    means = np.stack([features[labels == k].mean(0) for k in range(4)])
    found = metrics(means[labels], labels, weight, bias)
    assert found.nc1 < 1e-10 and found.nc1_quotient < 1e-10 and found.cdnv < 1e-10  # squares of float32 rounding
    assert found.nc2 > 0.1 and found.nc3 > 0.1


def test_two_unit_gaussians_have_the_known_cdnv_and_nc1():
    d, r, n, repeats = 20, 5.0, 200, 400
    offset = np.zeros((2, d))
    offset[1, 3] = r
    labels = np.repeat([0, 1], n)

    def one(key):
        return collapse.metrics(jax.random.normal(key, (2 * n, d)) + offset[labels], labels, offset, np.zeros(2))

    found = jit(jax.vmap(one))(jax.random.split(jax.random.key(0), repeats))
    # CDNV = D / r^2, and along the only direction between the means NC1 = 1/2 * 1 / (r^2 / 4) = 2 / r^2. The estimates
    # from n samples a class: the variance is low by 1/n, and the distance |h_1 - h_2|^2 has mean r^2 + 2 D / n and
    # standard deviation r sqrt(8 / n), which lifts 1 / |.|^2 by the square of its relative spread, 8 / (n r^2).
    for name, exact, shift in (("cdnv", d / r**2, 2 * d / n / r**2), ("nc1", 2 / r**2, 2 * d / n / r**2)):
        values = np.asarray(getattr(found, name), float)
        error = values.std(ddof=1) / np.sqrt(repeats)
        expected = exact * (1 - 1 / n) * (1 - shift + 8 / n / r**2)
        # 4.5 standard errors, by luck 7e-6, and the terms of the next order, below (1 / 100)^2 * 3.
        assert abs(values.mean() - expected) < 4.5 * error + 3e-4 * exact, name
        assert error < 0.01 * exact
    np.testing.assert_allclose(found.nc2, 0, atol=1e-6)  # two means are always a simplex


@pytest.mark.parametrize("number", range(len(CASES)))
def test_rotation_scale_shift_and_order_do_not_matter(number):
    features, labels, weight, bias = case(**CASES[number])
    before = metrics(features, labels, weight, bias)
    turn, shift = rotation(features.shape[1]), np.linspace(-4, 4, features.shape[1])
    rng = np.random.default_rng(5)
    samples, classes = rng.permutation(len(labels)), rng.permutation(len(bias))
    moved = (features @ turn + shift) * 7
    turned = weight @ turn
    shifted = metrics(moved, labels, turned / 7, bias - turned @ shift)
    for after in (
        shifted._replace(nc4_no_bias=before.nc4_no_bias),  # a shift is a bias
        metrics(features[samples], np.argsort(classes)[labels[samples]], weight[classes], bias[classes]),
    ):
        np.testing.assert_allclose(after, before, rtol=2e-4, atol=ZERO)  # as above, with a shift to round
    # Yet spread and classifier are seen: twice the spread, and the rows of the classifier exchanged.
    means = np.stack([features[labels == k].mean(0) for k in range(len(bias))])[labels]
    wider = metrics(means + 2 * (features - means), labels, weight, bias)
    spread = {name: 4 * getattr(before, name) for name in ("nc1", "nc1_quotient", "cdnv")}
    expected = before._replace(**spread, nc4=wider.nc4, nc4_no_bias=wider.nc4_no_bias)
    np.testing.assert_allclose(wider, expected, rtol=2e-4, atol=ZERO)
    assert abs(metrics(features, labels, weight[::-1], bias).nc3 - before.nc3) > 0.01


def test_absent_classes_are_as_if_they_were_not_there():
    features, labels, weight, bias = case(classes=3, sizes=(9, 9, 9))
    expected = metrics(features, labels, weight, bias)
    for one, other in ((100.0, -3.0), (1e30, np.nan)):
        more = np.insert(np.insert(weight, 3, one, axis=0), 1, other, axis=0)  # classes 1 and 4 do not occur
        found = metrics(features, np.array([0, 2, 3])[labels], more, np.insert(np.insert(bias, 3, 9.0), 1, other))
        np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_padding_is_as_if_it_were_not_there():
    features, labels, weight, bias = case()
    padded = np.concatenate([np.full((3, 6), np.nan), features])
    found = metrics(padded, np.r_[-1, -1, -1, labels], weight, bias)
    np.testing.assert_allclose(found, metrics(features, labels, weight, bias), rtol=2e-5)


def test_squares_of_squares_stay_in_the_range_of_float32():
    features, labels, weight, bias = case()
    for scale in (1e-15, 1e15):
        found = metrics(features * scale, labels, weight / scale, bias)
        np.testing.assert_allclose(found, metrics(features, labels, weight, bias), rtol=1e-5)


def test_what_has_no_value_is_nan():
    features, labels, weight, bias = case()
    constants = np.random.default_rng(0).random(200)
    broken = np.where(np.arange(36)[:, None] == 5, np.inf, features)
    for found in (
        metrics(features, np.zeros_like(labels), weight, bias),  # one class only
        metrics(features, labels * 0 - 1, weight, bias),  # no sample
        metrics(broken, labels, weight, bias),
    ):
        assert np.isnan(found).all()
    # Constant features, some of which have another number as their mean in float32: only W has a frame.
    found = metrics(np.tile(constants, (1001, 1)), np.arange(1001) % 4, np.eye(4, 200), bias)
    expected = {
        f"{name}_weights": getattr(found, f"{name}_weights") for name in ("nc2", "equinorm", "equiangularity", "angle")
    }
    np.testing.assert_array_equal(found, collapse.Collapse(*[np.nan] * 15)._replace(**expected))
    np.testing.assert_allclose(found.angle_weights, 1 / 3, rtol=1e-6)  # orthogonal rows
    # Two classes with one mean: three means on a line have no NC1.
    line = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]])[[0, 0, 1, 1, 2, 2]]
    spread = np.array([[1.0, 0.0], [-1.0, 0.0]] * 3)
    found = metrics(line + spread, np.repeat([0, 1, 2], 2), np.ones((3, 2)), np.ones(3))
    assert np.isnan(found.nc1) and np.isinf(found.cdnv) and np.isfinite(found.nc2)
    assert np.isinf(metrics(line, np.repeat([0, 1, 2], 2), np.ones((3, 2)), np.ones(3)).cdnv)


def test_vmap_one_trace_and_float64():
    stacked = stack([case(seed, sizes=(3, 20, 9, 5)) for seed in range(64)])
    # As against the definitions; the condition number of 64 random sets of means goes up to 100.
    assert_vmap_equals_loop(collapse.metrics, *stacked, rtol=1e-3)
    assert_one_trace(collapse.metrics, case(0), case(1))
    # Classes that occur in some lanes only, in one trace.
    others = [(features, np.minimum(labels, 2), *rest) for features, labels, *rest in (case(2), case(3))]
    assert_one_trace(collapse.metrics, case(0), *others)
    for number in (1, 2):
        assert_float32_is_close(collapse.metrics, *case(**CASES[number]), rtol=1e-4, atol=ZERO)


def test_memory_is_linear_in_samples_and_features():
    def temporary(n, d):
        shapes = ((n, d), (n,), (10, d), (10,))
        args = [jax.ShapeDtypeStruct(s, jnp.int32 if s == (n,) else jnp.float32) for s in shapes]
        return metrics.lower(*args).compile().memory_analysis().temp_size_in_bytes

    # One D x D matrix of floats would be 1.6 GB at D = 20,000, one n x n the same.
    assert temporary(100, 20_000) < 10 * 100 * 20_000 * 4
    assert temporary(20_000, 100) < 10 * 20_000 * 100 * 4


def test_no_lapack_is_called():
    text = metrics.lower(*case()).as_text()
    assert "while" in text and "lapack" not in text and "custom_call" not in text


SCRIPT = """
import json
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from pt_jax.diagnostics import collapse
from tests.compiling import jit
from tests.diagnostics.cases import stack
from tests.diagnostics.test_collapse import case

def lane(args):
    return collapse.metrics(*args)

lanes = PartitionSpec("lane")
mesh = Mesh(np.array(jax.devices()), ("lane",))
group = lambda args: jax.lax.map(lane, args, batch_size=8)
shared = jit(jax.shard_map(group, mesh=mesh, in_specs=lanes, out_specs=lanes, check_vma=False))
for _ in range(20):
    found = jax.block_until_ready(shared(stack([case(seed, classes=10, d=40, sizes=(9,) * 10) for seed in range(64)])))
assert len(found.nc1.sharding.device_set) == 4
print(json.dumps([np.asarray(x, float).tolist() for x in found]))
"""


def test_lanes_on_four_devices_end_and_equal_a_loop():
    # A deadlock would hang for ever; the script takes some 10 s.
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=600, cwd=root)
    assert done.returncode == 0, done.stderr
    loop = [metrics(*case(seed, classes=10, d=40, sizes=(9,) * 10)) for seed in range(64)]
    # Two programs in float32: condition numbers up to 100.
    np.testing.assert_allclose(np.transpose(json.loads(done.stdout)), loop, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones((36, 5))}, r"features has shape \(36, 5\) and weight has \(4, 6\); expected"),
        ({"features": np.ones(36)}, r"features has shape \(36,\)"),
        ({"weight": np.ones((1, 6))}, "weight has 1 row; expected one for each of at least 2 classes"),
        ({"features": np.ones((36, 0)), "weight": np.ones((4, 0))}, r"of one D, at least 1"),
        ({"bias": np.ones(5)}, r"bias has shape \(5,\); expected \(4,\)"),
        ({"labels": np.zeros(35, int)}, r"labels has shape \(35,\); expected \(36,\)"),
        ({"labels": np.full(36, 4)}, r"labels lie in 4\.\.4; expected 0\.\.3"),
    ],
)
def test_bad_input_is_named(change, message):
    call = dict(zip(("features", "labels", "weight", "bias"), case(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        collapse.metrics(**call)


@pytest.mark.parametrize("classes", [0, -1, 2.5])
def test_a_number_of_classes_that_is_none_is_named(classes):
    with pytest.raises(ValueError, match=f"classes = {classes} is not accepted: use a whole number"):
        collapse.variability(np.ones((4, 2)), np.zeros(4, int), classes)
