"""The draws: geometry of the two tasks, the law of the Gram matrices, and that padding changes no number."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pt_jax.signal_noise.data import World, _chi, dense_world, span_world
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import jit
from tests.signal_noise.cases import limit

AXES = 3  # e_u, e_1, e_2
DRAW = {"span": span_world, "dense": dense_world}
SIZES = Static(n1=5, n2=4, m=2, d=30)


@cache
def _draw(static: Static):
    return jit(lambda seed, point: DRAW[static.engine](jax.random.key(seed), point, static))


def draw(static: Static, point: Point, seed: int = 0) -> World:
    return jax.device_get(_draw(static)(seed, jax.tree.map(lambda x: jnp.asarray(x, float), point)))


def sized(static: Static, **fields) -> Point:
    sizes = {name: getattr(static, name) for name in ("n1", "n2", "m", "d")}
    return Point(**{**sizes, **fields})


@pytest.mark.parametrize("engine", ["span", "dense"])
@pytest.mark.parametrize("angle", [0.0, 60.0, 90.0, 180.0])
def test_signals_have_the_norms_and_the_angle_asked_for(engine, angle):
    static = replace(SIZES, engine=engine)
    world = draw(static, sized(static, u=1.5, v1=2.0, v2=3.0, angle=angle))
    # float32 rounding of numbers of size 10.
    np.testing.assert_allclose(world.task1.mu @ world.task1.mu, 1.5**2 + 2.0**2, rtol=1e-5)
    np.testing.assert_allclose(world.task2.mu @ world.task2.mu, 1.5**2 + 3.0**2, rtol=1e-5)
    expected = 1.5**2 + 6.0 * np.cos(np.deg2rad(angle))
    np.testing.assert_allclose(world.task1.mu @ world.task2.mu, expected, atol=1e-5)
    np.testing.assert_array_equal(world.task1.mu[:1], [1.5])


@pytest.mark.parametrize("engine", ["span", "dense"])
def test_projected_noise_is_orthogonal_to_u_and_v_also_where_they_are_0(engine):
    static = replace(SIZES, engine=engine)
    world = draw(static, sized(static, angle=60.0, sigma1=2.0, u=0.0, v1=0.0, v2=0.0))
    for task in (world.task1, world.task2):
        # A few roundings of float32.
        np.testing.assert_allclose(task.noise[:, :AXES] @ task.own, 0.0, atol=1e-6)
        np.testing.assert_array_equal(task.noise[:, 0], 0.0)
        assert np.all(np.linalg.norm(task.noise, axis=1) > 0)


@pytest.mark.parametrize("engine", ["span", "dense"])
def test_labels_are_flipped_with_the_share_asked_for_and_weights_average_the_samples_in_use(engine):
    static = Static(n1=4000, n2=4000, m=1, d=4, engine=engine)
    if engine == "span":
        static = Static(n1=300, n2=300, m=1)
    world = draw(static, sized(static, d=4, n1=static.n1 - 100, flip1=0.25, flip2=0.0))
    used = static.n1 - 100
    np.testing.assert_array_equal(world.task2.seen, world.task2.label)
    assert set(np.unique(world.task1.label)) == {-1.0, 1.0}
    share, plus = np.mean(world.task1.seen != world.task1.label), np.mean(world.task1.label > 0)
    # Standard errors sqrt(p (1 - p) / n); 5 of them, chance of failing by luck 2e-6 in all.
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / static.n1)
    assert abs(plus - 0.5) < 5 * np.sqrt(0.25 / static.n1)
    # 1/n in float32.
    np.testing.assert_allclose(world.task1.weight[:used], 1 / used, rtol=1e-6)
    np.testing.assert_array_equal(world.task1.weight[used:], 0.0)
    flipped = draw(static, sized(static, d=4, n1=used, flip1=1.0))
    np.testing.assert_array_equal(flipped.task1.seen, -flipped.task1.label)


@pytest.mark.parametrize("width", [4, 7, 16, 100])
def test_one_dimensional_draws_keep_their_prefix(width):
    # All padding rests on this property of jax.random; two-dimensional draws do not have it.
    key = jax.random.key(5)
    np.testing.assert_array_equal(jax.random.normal(key, (width,)), jax.random.normal(key, (3 * width + 1,))[:width])
    np.testing.assert_array_equal(jax.random.uniform(key, (width,)), jax.random.uniform(key, (2 * width,))[:width])
    bits = [jax.random.bits(key, (size,), jnp.uint32) for size in (width, 2 * width)]
    np.testing.assert_array_equal(bits[0], bits[1][:width])


@pytest.mark.parametrize("d", [6, 40])
def test_padding_changes_no_span_draw(d):
    point = Point(d=d, n1=3, n2=2, m=2, angle=60.0)
    small, large = Static(n1=3, n2=2, m=2), Static(n1=8, n2=5, m=4)
    columns = []
    for static in (small, large):
        used = [np.arange(k) < n for k, n in ((2 * static.m, 4), (static.n2, 2), (2 * static.m, 4), (static.n1, 3))]
        columns.append(np.concatenate([np.arange(AXES), AXES + np.flatnonzero(np.concatenate(used))]))
    a, b = draw(small, point), draw(large, point)
    for one, two in ((a.task1, b.task1), (a.task2, b.task2)):
        n = len(one.label)
        # The same keys and formulas in two programs: a few roundings of float32.
        np.testing.assert_allclose(one.noise[:, columns[0]], two.noise[:n, columns[1]], rtol=1e-5, atol=1e-6)
        assert np.all(np.delete(two.noise[:n], columns[1], axis=1) == 0)
        np.testing.assert_array_equal(one.seen, two.seen[:n])
    for one, two in ((a.fresh, b.fresh), (a.upstream, b.upstream)):
        np.testing.assert_allclose(one.weights[:, columns[0]], two.weights[:4, columns[1]], rtol=1e-5, atol=1e-6)


def test_padding_changes_no_dense_draw():
    point = Point(d=12, n1=3, n2=2, m=2)
    a = draw(Static(n1=3, n2=2, m=2, d=12, engine="dense"), point)
    b = draw(Static(n1=8, n2=5, m=4, d=50, engine="dense"), point)
    # The same keys and formulas in two programs: a few roundings of float32.
    np.testing.assert_allclose(a.task1.noise, b.task1.noise[:3, :12], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a.task2.noise, b.task2.noise[:2, :12], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a.fresh.weights, b.fresh.weights[:4, :12], rtol=1e-5, atol=1e-6)
    for vectors in (b.task1.noise, b.task2.noise, b.fresh.weights, b.upstream.weights):
        assert np.all(vectors[:, 12:] == 0)


@cache
def _gram(static: Static):
    def gram(seed, point):
        world = span_world(jax.random.key(seed), point, static)
        rows = [world.fresh.weights[:2], world.task2.noise[:3], world.upstream.weights[:2], world.task1.noise[:3]]
        rest = jnp.concatenate(rows)[:, AXES:]
        return rest @ rest.T

    return jit(lambda seeds, point: jax.lax.map(lambda s: gram(s, point), seeds, batch_size=1000))


@pytest.mark.parametrize("rest", [1, 50, pytest.param(6, marks=pytest.mark.long)])
def test_gram_matrices_of_the_bartlett_draw_have_wishart_moments(rest):
    # 10 rows in use between padded ones, D = 1 and 6 below and 50 above their number.
    static, count = Static(n1=4, n2=5, m=2, noise="isotropic"), 20_000
    point = Point(d=AXES + rest, n1=3, n2=3, m=1, sigma1=1.0, sigma2=1.0, init_scale=1.0)
    gram = np.asarray(_gram(static)(jnp.arange(count), jax.tree.map(float, point)), np.float64)
    rows = gram.shape[1]
    same = np.eye(rows, dtype=bool)
    mean, variance = rest * same, np.where(same, 2 * rest, rest)
    kurtosis = np.where(same, 3 + 12 / rest, 3 + 6 / rest)  # of chi^2_D and of a sum of D products of two normals
    z_mean = (gram.mean(0) - mean) / np.sqrt(variance / count)
    z_variance = (((gram - mean) ** 2).mean(0) / variance - 1) / np.sqrt((kurtosis - 1) / count)
    i, j, k = np.array([(a, b, c) for a in range(rows) for b in range(a) for c in range(b)]).T
    loops = gram[:, i, j] * gram[:, j, k] * gram[:, k, i]  # E = D: sees how three rows hang together
    z_loops = (loops.mean(0) - rest) / (loops.std(0) / np.sqrt(count))
    if rest == 1:  # products of six normals: 20,000 of them are not enough for a normal mean
        z_loops = z_loops[:0]
    # Standard errors from the exact moments (of the loops: from the sample). Chance of failing by luck 1e-5 for each D;
    # the heavy tails of these averages are why it is not 1e-4.
    bound = limit(1e-5, 2 * rows**2 + len(i))
    for z in (z_mean, z_variance, z_loops):
        assert np.all(np.abs(z) < bound), np.abs(z).max()
    # Singular values that are rounding noise of float32 are below 1e-5 of the largest; here no other is so small.
    singular = np.linalg.svd(gram[:100], compute_uv=False)
    assert np.all((singular > 1e-5 * singular[:, :1]).sum(1) == min(rest, rows))


def test_rows_of_a_larger_task_1_leave_all_other_draws_bit_for_bit_the_same():
    static = Static(n1=9, n2=4, m=2)
    few, many = (draw(static, sized(static, n1=n1, d=12)) for n1 in (2, 9))
    for name in ("task2", "fresh", "upstream"):
        for a, b in zip(getattr(few, name), getattr(many, name), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("freedom", [1, 2, 3, 12, 13, 20, 2000, 10**6])
def test_chi_has_its_law(freedom):
    normal = jax.random.normal(jax.random.key(freedom), (100_000, 12))
    drawn = np.asarray(_chi(jnp.full(100_000, float(freedom)), normal), float)
    # Kolmogorov-Smirnov: a right sampler fails with probability 1e-5 each.
    assert stats.kstest(drawn, stats.chi(freedom).cdf).pvalue > 1e-5


def test_uniform_initial_weights_are_gaussian_in_the_span_engine_and_biases_uniform_in_both():
    found = {}
    for engine in DRAW:
        static = Static(n1=2, n2=2, m=100, d=200, bias=True, init="uniform", engine=engine)
        nets = draw(static, sized(static, init_scale=0.3))[2:]
        found[engine] = np.concatenate([net.weights for net in nets]) / 0.3
        bias = np.concatenate([net.bias for net in nets]) / 0.3
        assert np.all(np.abs(bias) <= np.sqrt(3) + 1e-6)
        # Variance of a squared uniform of variance 1: 9/5 - 1; 400 biases. 5 standard errors, chance by luck 6e-7.
        assert abs(np.mean(bias**2) - 1) < 5 * np.sqrt(0.8 / 400)
    uniform = found["dense"].ravel()
    # 80,000 entries, axes included. Kolmogorov-Smirnov: by luck 1e-5. The law ends at the root of 3.
    assert stats.kstest(uniform, stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf).pvalue > 1e-5
    assert 1.73 < np.abs(uniform).max() <= np.sqrt(3) + 1e-6 < 3 < np.abs(found["span"]).max()


@pytest.mark.parametrize("engine", ["span", "dense"])
def test_biases_beside_gaussian_weights_start_at_0(engine):
    static = replace(SIZES, bias=True, engine=engine)
    assert np.all(draw(static, sized(static)).fresh.bias == 0)


def test_noise_of_the_dense_engine_is_exactly_orthogonal_to_an_axis():
    static = replace(SIZES, engine="dense")
    world = draw(static, sized(static, v1=1e6, sigma1=1e6))
    np.testing.assert_array_equal(world.task1.noise @ world.task1.mu, 0.0)
