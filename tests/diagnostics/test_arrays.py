"""Anybody's arrays and parameters: half precision, lists, tensors of torch, trees of flax, constants under jit."""

from collections import OrderedDict
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.core import freeze

from pt_jax.diagnostics import (
    arrays,
    collapse,
    criticality,
    distance,
    jacobi,
    landscape,
    mistakes,
    parameters,
    shuffle,
    similarity,
    transferability,
)
from tests.compiling import jit

KEY = jax.random.key(0)
HALF = (jnp.float16, jnp.bfloat16)
FEATURES = [[1.0, 2.0], [2.0, 1.0], [0.0, 3.0], [4.0, 4.0]]
LABELS = [0, 0, 1, 1]


class Tensor:
    """What torch's tensors are to NumPy: none while a gradient is required."""

    def __init__(self, values, gradient=True):
        self.values, self.gradient, self.dtype = np.asarray(values, np.float32), gradient, "torch.float32"

    def detach(self):
        return Tensor(self.values, gradient=False)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        if self.gradient:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.values


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.head = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.Linear(4, 10, rngs=rngs)


class Attention(NamedTuple):
    query: object
    value: object


def net(move, dtype):
    return {"conv": {"kernel": jnp.full((100, 100), move, dtype)}, "head": {"kernel": jnp.ones((100, 1), dtype)}}


@pytest.mark.parametrize("dtype", HALF)
def test_small_moves_in_half_precision_are_not_lost(dtype):
    start, end = net(0.0, dtype), net(1e-4, dtype)
    move = float(dtype(1e-4))  # its square is 0 in float16

    def loss(params):
        return jnp.where(params["conv"]["kernel"].mean() > 0.9e-4, 0.0, 1.0)

    found = criticality.measure(KEY, loss, start, end, "conv", np.linspace(0, 1, 5), [1e-3], 0.5, 16)
    # With sigma 1e-3 the mean over 10,000 entries has a standard error of 1e-5: 0.75 move is 1.5 of these below 0.9e-4.
    np.testing.assert_allclose(found.value, (100 * move / 1e-3) ** 2, rtol=1e-4)
    np.testing.assert_allclose(distance.l2(start, end).modules["conv"], 100 * move, rtol=1e-4)
    np.testing.assert_allclose(
        transferability.ratio(start["conv"]["kernel"], 2 * end["conv"]["kernel"], end["conv"]["kernel"]), 1
    )
    # Half the way from 1 to the next number there is: in its own precision, the point between is an end.
    a, b = dtype(1.0), jnp.nextafter(dtype(1.0), dtype(2.0))
    half = landscape.interpolate(lambda x: x["w"], {"w": a}, {"w": b}, [0.5])
    assert half.dtype == jnp.float32 and float(a) < half[0] < float(b)


@pytest.mark.parametrize("dtype", HALF)
def test_features_in_half_precision_give_the_numbers_of_float32(dtype):
    rng = np.random.default_rng(0)
    x, labels = jnp.asarray(300 * rng.normal(size=(12, 3)), dtype), np.arange(12) % 3  # squares are beyond float16
    weight, bias = jnp.asarray(300 * rng.normal(size=(3, 3)), dtype), jnp.zeros(3, dtype)
    y = x[:, :2] + 1

    @jit
    def all_of(x, y, weight, bias):
        measured = collapse.metrics(x, labels, weight, bias), mistakes.overlap(x, 2 * x[:, ::-1], labels)
        return similarity.linear_cka(x, y), *jax.tree.leaves(measured), jacobi.orthogonal_rows(weight)

    half, single = all_of(x, y, weight, bias), all_of(*(a.astype(jnp.float32) for a in (x, y, weight, bias)))
    for a, b in zip(half, single, strict=True):
        assert a.dtype == jnp.float32 and np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_logits_beyond_the_range_are_answers_too():
    masked = np.where(np.eye(3), np.inf, -np.inf)
    found = mistakes.overlap(masked, -masked, [0, 1, 2])
    assert found.error_a == 0 and found.error_b == 1


@pytest.mark.parametrize("kind", [list, np.array, jnp.array, Tensor, lambda x: np.array(x, int), tuple])
def test_features_of_every_kind_give_the_same_numbers(kind):
    x, logits = kind(FEATURES), kind([[0, 1], [1, 0], [0, 1], [1, 0]])
    expected = similarity.linear_cka(jnp.array(FEATURES), jnp.array(FEATURES)[:, :1])
    np.testing.assert_allclose(similarity.linear_cka(x, kind([row[:1] for row in FEATURES])), expected, rtol=1e-6)
    np.testing.assert_allclose(similarity.layers([x], [x]), [1], rtol=1e-6)
    bare, biased = (collapse.metrics(x, LABELS, kind([[1, 0], [0, 1]]), b) for b in (None, kind([0, 0])))
    jax.tree.map(np.testing.assert_array_equal, bare, biased)
    assert mistakes.overlap(logits, logits, LABELS).error_a == 0.5
    np.testing.assert_allclose(transferability.ratio(x, kind([[0, 0]] * 4), kind([[1, 1]] * 4)), 11 / 8)


def test_torch_itself_if_it_is_there():
    torch = pytest.importorskip("torch")
    a, b = (torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Linear(2, 2)).state_dict() for _ in range(2))
    found = distance.l2(a, b).modules
    assert list(found) == ["0", "1"]
    expected = sum(((a[f"0.{n}"] - b[f"0.{n}"]) ** 2).sum() for n in ("weight", "bias")) ** 0.5
    np.testing.assert_allclose(found["0"], float(expected), rtol=1e-5)
    x = torch.randn(9, 3, requires_grad=True)
    for features in (x, x.to(torch.bfloat16), x.half(), x.double()):
        np.testing.assert_allclose(similarity.linear_cka(features, features), 1, rtol=1e-5)
    assert mistakes.overlap(x, x, torch.tensor([0, 1, 2] * 3)).observed.agreement == 1
    assert shuffle.blocks(KEY, torch.zeros(2, 4, 4, 1), 2).shape == (2, 4, 4, 1)


def test_names_of_torch_and_nnx_go_by_module():
    names = ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv1.bias", "layer10.0.weight")
    state = OrderedDict((name, Tensor(np.ones((2, 2)) * i)) for i, name in enumerate(names))
    moved = OrderedDict((name, Tensor(np.ones((2, 2)) * i + 1)) for i, name in enumerate(names))
    assert parameters.modules(state) == ["conv1", "layer1.0.conv1", "layer1.0.conv1", "layer10.0"]
    np.testing.assert_allclose(distance.l2(state, moved).modules["layer1.0.conv1"], np.sqrt(8))
    assert parameters.inside("layer1.0.conv1", "layer1") and not parameters.inside("layer10.0", "layer1")
    assert set(transferability.layers(state, state, moved).blocks) == {"conv1", "layer1", "layer10"}
    reset = criticality.reset(lambda p: sum(x.sum() for x in p.values()), state, moved, "layer1")
    np.testing.assert_allclose(reset, -8)  # two tensors of four entries, each by 1

    nnx_state = nnx.state(Net(nnx.Rngs(0)), nnx.Param)
    pure = nnx.to_pure_dict(nnx_state)
    assert parameters.modules(nnx_state) == parameters.modules(pure) == ["conv", "conv", "head", "head"]
    assert parameters.modules({"attention": Attention(1.0, 2.0)}) == ["attention", "attention"]
    doubled = jax.tree.map(lambda x: 2 * x, pure)
    jax.tree.map(np.testing.assert_allclose, distance.l2(nnx_state, doubled), distance.l2(pure, doubled))


def test_the_loss_sees_the_structure_that_it_was_given():
    graph, state = nnx.split(Net(nnx.Rngs(0)), nnx.Param)[:2]
    other = jax.tree.map(jnp.zeros_like, state)

    def loss(params):
        return jnp.sum(nnx.merge(graph, params).head(jnp.ones(4)))

    np.testing.assert_allclose(criticality.reset(loss, other, state, "head"), -loss(state), rtol=1e-5)
    assert criticality.reset(loss, other, state, "conv") == 0


def test_trees_are_compared_by_name_whatever_their_kind_and_order():
    a = {"b": {"w": np.ones(2)}, "a": {"w": np.zeros(3)}}
    ordered = OrderedDict(b={"w": np.ones(2)}, a={"w": np.zeros(3)})
    for other in (freeze(a), ordered, OrderedDict(reversed(ordered.items()))):
        assert distance.l2(a, other).whole == distance.l2(other, a).whole == 0
        assert list(distance.l2(other, a).modules) == parameters.modules(other)


def test_constants_are_checked_and_taken_inside_of_somebodys_jit():
    x, grid, size = jnp.array(FEATURES), jnp.linspace(0.5, 1, 3), jnp.array(2.0)
    labels, draws, images, net = jnp.array(LABELS), jnp.array(2), jnp.ones((1, 4, 4, 1)), {"a": {"w": jnp.ones(2)}}

    @jax.jit
    def all_of(scale):
        return (
            similarity.linear_cka(x, x) * scale,
            collapse.metrics(x, labels, x[:2] * scale).nc1,
            criticality.measure(KEY, lambda p: p["a"]["w"].sum(), net, net, "a", grid, grid, size, draws).loss,
            shuffle.blocks(KEY, images * scale, size),
        )

    assert all(np.isfinite(x).all() for x in all_of(1.0))
    three = jnp.array(3)
    with pytest.raises(ValueError, match="size is 3"):
        jax.jit(lambda scale: shuffle.blocks(KEY, images * scale, three))(1.0)


def identity(params):
    return params["w"]


W, IMAGES = {"w": np.ones(2)}, np.zeros((1, 4, 4, 1))
REFUSED = {
    "text as features": (lambda: similarity.linear_cka("ab", FEATURES), "x is not accepted: use an array of numbers"),
    "None as features": (lambda: similarity.linear_cka(FEATURES, None), "y is not accepted: use an array of numbers"),
    "rows of two lengths": (lambda: collapse.metrics([[1.0], [1.0, 2.0]], [0, 1], W["w"]), "features is not accepted"),
    "complex features": (lambda: similarity.linear_cka(1j * IMAGES[0, :, :, 0], W["w"]), "expected real numbers"),
    "masked features": (lambda: similarity.linear_cka(np.ma.ones((3, 2)), FEATURES), "x is not accepted"),
    "a key as features": (lambda: similarity.linear_cka(KEY, FEATURES), "x is not accepted"),
    "one number a layer": (
        lambda: similarity.layers([1.0], [1.0]),
        r"a has shape \(\); expected the outputs of a layer",
    ),
    "layers of two networks": (lambda: similarity.layers([FEATURES], []), "a has 1 layers and b has 0"),
    "text as bias": (lambda: collapse.metrics(FEATURES, LABELS, FEATURES[:2], "none"), "bias is not accepted"),
    "labels of numbers": (lambda: mistakes.overlap(FEATURES, FEATURES, [0.0] * 4), "labels has dtype float64"),
    "labels None": (lambda: mistakes.overlap(FEATURES, FEATURES, None), "labels is not accepted"),
    "a name in the parameters": (lambda: distance.l2({"w": "x"}, W), r"a\['w'\] is not accepted"),
    "a count in the parameters": (lambda: distance.l2({"w": np.ones(2, int)}, W), "leave out what is none"),
    "no parameters": (lambda: distance.l2(None, None), "a holds no tensor"),
    "loss None": (lambda: landscape.interpolate(None, W, W, [0.0]), "loss = None is not accepted: use a function"),
    "loss of words": (lambda: landscape.interpolate(lambda p: "x", W, W, [0.0]), "loss is not accepted"),
    "t None": (lambda: landscape.barrier(identity, W, W, None), "t is not accepted"),
    "t one number": (lambda: landscape.barrier(identity, W, W, 0.5), r"t has shape \(\)"),
    "draws 2.5": (lambda: measure(draws=2.5), "draws = 2.5 is not accepted: use a whole number"),
    "loss of two": (lambda: measure(loss=identity), r"loss has shape \(2,\); expected one number"),
    "eps of two": (lambda: measure(eps=[1, 2]), r"eps has shape \(2,\); expected one number"),
    "an old key": (lambda: measure(key=jax.random.PRNGKey(0)), "use one typed key"),
    "sigma text": (lambda: measure(sigma="small"), "sigma is not accepted"),
    "alpha of four": (lambda: criticality.reset(identity, W, W, "w", [[0, 1]] * 2), r"alpha has shape \(2, 2\)"),
    "size None": (lambda: shuffle.blocks(KEY, IMAGES, None), "size is not accepted"),
    "sizes": (lambda: shuffle.blocks(KEY, IMAGES, [1, 2]), r"size has shape \(2,\)"),
    "a seed as key": (lambda: shuffle.pixels(0, IMAGES), "key = 0 is not accepted: use one typed key"),
    "images None": (lambda: shuffle.pixels(KEY, None), "images is not accepted"),
}


def measure(**change):
    given = dict(key=KEY, loss=lambda p: p["w"].sum(), alpha=[0.0], sigma=[0.5], eps=1.0, draws=2) | change
    return criticality.measure(
        given["key"], given["loss"], W, W, "w", given["alpha"], given["sigma"], given["eps"], given["draws"]
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_none_of_these_is_one_clear_sentence(name):
    work, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence) as error:
        work()
    assert "\n" not in str(error.value)


def test_numpy_whole_numbers_are_whole_numbers():
    assert np.isfinite(measure(draws=np.int64(2)).loss).all()
    assert arrays.whole("n", np.int64(3)) == 3
    np.testing.assert_array_equal(shuffle.blocks(KEY, IMAGES, np.int64(2)), shuffle.blocks(KEY, IMAGES, 2.0))
