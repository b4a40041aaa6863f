"""CKA of each layer with each over minibatches: against HSIC_1 term by term, CKA of pairs, and a mean over draws."""

import jax
import numpy as np
import pytest

from pt_jax.diagnostics import similarity, similarity_matrix
from tests.compiling import jit
from tests.diagnostics.test_similarity_kernels import hsic, rbf

cka_of = jit(similarity.linear_cka, static_argnames="debiased")
A, B = ("stem", "head"), ("stem", "block")  # not in the order of the alphabet


def batches(count=3, n=8):
    """Return activations of two networks of other layers and widths; those of the second depend on the first's."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        a = {name: rng.normal(size=(n, *shape)) for name, shape in zip(A, ((3, 3, 4), (5,)), strict=True)}
        mixed = np.concatenate([x.reshape(n, -1) for x in a.values()], 1)
        yield (
            a,
            {
                name: mixed @ rng.normal(size=(41, k)) + rng.normal(size=(n, k))
                for name, k in zip(B, (6, 9), strict=True)
            },
        )


def test_it_is_the_ratio_of_the_means_of_hsic_1():
    found = similarity_matrix.matrix(batches())
    assert found.dims == ("layer_a", "layer_b") and found.name == "debiased CKA"
    assert (tuple(found.layer_a.values), tuple(found.layer_b.values)) == (A, B)

    def total(x, y):
        """Return the sum of HSIC_1 over the minibatches."""
        grams = ([z[name].reshape(8, -1) for z, name in ((pair[i], n) for i, n in (x, y))] for pair in batches())
        return sum(hsic(one @ one.T, other @ other.T, True) for one, other in grams)

    for a in A:
        for b in B:
            expected = total((0, a), (1, b)) / np.sqrt(total((0, a), (0, a)) * total((1, b), (1, b)))
            np.testing.assert_allclose(found.sel(layer_a=a, layer_b=b), expected, rtol=1e-5)  # float32


@pytest.mark.parametrize("options", [{}, {"debiased": False}, {"bandwidth": 0.5}])
def test_of_one_minibatch_it_is_the_cka_of_each_pair(options):
    ((a, b),) = batches(1)
    found = similarity_matrix.matrix([(a, b)], **options)
    pair = rbf if "bandwidth" in options else cka_of
    for i, j in ((0, 1), (1, 0)):
        expected = pair(a[A[i]].reshape(8, -1), b[B[j]], **{"debiased": True, **options})
        np.testing.assert_allclose(found[i, j], expected, rtol=1e-5)  # float32


def test_minibatches_have_no_bias():
    draws, n = 400, 6

    def one(key):
        x, y = jax.random.normal(key, (2, 5, n, 12))
        sums = similarity_matrix.start(1, 1)
        for i in range(5):
            sums = similarity_matrix.add(sums, [x[i]], [y[i]])
        return similarity_matrix.cka(sums)[0, 0]

    values = np.asarray(jit(jax.vmap(one))(jax.random.split(jax.random.key(0), draws)), float)
    error = values.std(ddof=1) / np.sqrt(draws)
    # 4.5 standard errors of 0.007, by luck 7e-6. Plain CKA of 6 samples of 12 features is about 1 / (1 + 5 / 12) = 0.7.
    assert abs(values.mean()) < 4.5 * error < 0.04


def test_scale_does_not_matter_and_a_layer_may_begin_constant():
    plain = similarity_matrix.matrix(batches())
    big = (
        ({name: 1e12 * x for name, x in a.items()}, {name: 1e-12 * x for name, x in b.items()}) for a, b in batches()
    )
    np.testing.assert_allclose(similarity_matrix.matrix(big), plain, rtol=1e-5)
    given = list(batches())
    given[0][0]["head"][:] = 3.0  # no say in the sums
    found = similarity_matrix.matrix(given)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], plain[0], rtol=1e-5)
    for a, _ in given:
        a["head"][:] = 0.1
    assert np.isnan(similarity_matrix.matrix(given)[1]).all()


def test_minibatches_of_very_different_scale_in_any_order():
    x = np.random.default_rng(0).normal(size=(16, 3, 3, 4)).astype(np.float32)
    y, z = x[:8].reshape(8, -1) @ np.ones((36, 5)), x[8:]
    small = {"stem": x[:8] * np.float32(1e-10), "head": y * 1e-10}
    one, two = (small, {"stem": z, "block": y}), ({"stem": z, "head": y}, {"stem": x[:8], "block": y})
    found = similarity_matrix.matrix([one, two])
    np.testing.assert_allclose(similarity_matrix.matrix([two, one]), found, rtol=1e-5)  # float32

    def own(a, b):
        k, m = (u.reshape(8, -1).astype(float) for u in (a, b))
        return hsic(k @ k.T, m @ m.T, True)

    first = own(z, x[:8]) / np.sqrt(own(z, z) * (own(z, z) + own(x[:8], x[:8])))  # of the small minibatch, nothing
    np.testing.assert_allclose(found[0, 0], first, rtol=1e-5)


def test_a_layer_of_a_confident_network_is_like_itself():
    logits = np.random.default_rng(0).normal(size=(16, 9)).astype(np.float32)
    logits[:8, 0] += 50  # so the outputs of the first minibatch differ by 1e-20, those of the second by 1
    pairs = [({"out": x}, {"out": x}) for x in np.split(np.asarray(jax.nn.softmax(logits))[:, 1:], 2)]
    np.testing.assert_allclose(similarity_matrix.matrix(pairs), 1, rtol=1e-5)


def test_arrays_of_any_library():
    ((a, b),) = batches(1)
    expected = similarity_matrix.matrix([(a, b)], bandwidth=0.5)
    lists = {name: x.tolist() for name, x in a.items()}
    np.testing.assert_array_equal(similarity_matrix.matrix([(lists, b)], bandwidth=np.array(0.5)), expected)
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in b.items()}
    np.testing.assert_array_equal(similarity_matrix.matrix([(a, tensors)], bandwidth=np.float32(0.5)), expected)


def test_bad_input_is_named():
    (a, b), (other, _) = batches(2)
    cases = {
        "batches is empty; expected pairs": [],
        "batches have layers of different names": [(a, b), ({"x": other["head"]}, b)],
        r"layers have \[7, 8\] samples; expected the same number": [(a, {name: x[:7] for name, x in b.items()})],
        r"layers have \[3\] samples; .* at least 4": [tuple({k: x[:3] for k, x in z.items()} for z in (a, b))],
        r"head has shape \(\); expected the outputs of a layer": [({"head": 1.0}, b)],
        r"head has shape \(0, 3\); expected the outputs of a layer": [({"head": np.ones((0, 3))}, b)],
        "a or b has no layer": [(a, {})],
    }
    for message, given in cases.items():
        with pytest.raises(ValueError, match=message):
            similarity_matrix.matrix(given)
    for bandwidth in (0, -1.0, np.array(np.nan)):
        with pytest.raises(ValueError, match=r"bandwidth is .*; expected a positive fraction of the median distance"):
            similarity_matrix.matrix([(a, b)], bandwidth=bandwidth)
    with pytest.raises(ValueError, match=r"a and b have 2 and 1 layers; expected \(1, 1\), as at the start"):
        similarity_matrix.add(similarity_matrix.start(1, 1), [b["stem"]] * 2, [b["stem"]])
