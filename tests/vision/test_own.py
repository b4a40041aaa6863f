"""Networks of the user's own: what is taken for layers, head and features, and which modules cannot work."""

import sys
from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pt_jax
from pt_jax.inputs.modules import hashable
from pt_jax.vision import datasets, models
from pt_jax.vision.compare import compare
from pt_jax.vision.fields import HEAD, layer_names
from pt_jax.vision.point import Static
from pt_jax.vision.transfer import transfer
from tests.compiling import jit
from tests.vision.pairs import PAIR, POINT, TINY, lane, made_up

FOUR = datasets.pair(made_up(1, classes=4), made_up(2, classes=4))
OF_FOUR = POINT._replace(classes1=4)


class Twin(nn.Module):
    """The VGG-like network of TINY, written down as a plain module."""

    classes: int

    @nn.compact
    def __call__(self, images):
        x = models._ConvLayer(2, True, TINY.conv, name="conv0_0")(2.0 * images)
        x = models._ConvLayer(4, True, TINY.conv, name="conv1_0")(x)
        return nn.Dense(self.classes, kernel_init=nn.initializers.zeros, name="head")(x.reshape(len(x), -1))


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(x.reshape(len(x), -1))


class Later(nn.Module):
    """Layers in another order than that of their names, one without parameters, one called twice, one in half."""

    def setup(self):
        self.z, self.y, self.head = nn.Dense(6), nn.Dense(6, dtype=jnp.float16), nn.Dense(4)
        self.drop, self.norm = nn.Dropout(0.5, deterministic=True), nn.LayerNorm()

    def __call__(self, x):
        x = self.drop(self.z(x.reshape(len(x), -1)))
        for _ in range(2):
            x = nn.relu(self.y(x))
        return self.head(inputs=self.norm(x))


class Rematerialised(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.remat(nn.Dense)(5, name="first")(x.reshape(len(x), -1))
        return nn.Dense(4)(nn.relu(x))


def twin(static, classes, projection):
    return Twin(classes)


def build(model, **options):
    return models.build(Static.covering(FOUR, OF_FOUR, model=model, **options), 4, False)


@pytest.mark.long
def test_a_plain_module_gives_the_numbers_of_the_same_built_in_network():
    mine, built_in = lane(replace(TINY, model=twin), compiled=jit)(0, POINT), lane(TINY)(0, POINT)
    for name, x in built_in._asdict().items():
        # The same draws and the same sums, compiled apart, through up to 6 steps of Adam.
        np.testing.assert_allclose(getattr(mine, name), x, rtol=1e-4, atol=1e-5, err_msg=name)
    assert mine.loss != mine.loss_scratch and np.all(mine.distance > 0)


def test_outputs_are_those_of_the_module_with_and_without_a_skip_connection():
    mine, built_in = models.build(replace(TINY, model=twin), 4, False), models.build(TINY, 4, False)
    params = jit(mine.init)(jax.random.key(0), PAIR.target.test.images[:1])["params"]
    params[HEAD]["kernel"] += 1.0
    for skip in (None, jnp.array([1.0, 0.5])):
        found, expected = (jit(net.outputs)(params, PAIR.target.test.images[:5], skip) for net in (mine, built_in))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)
    assert mine.names == built_in.names == ("conv0_0", "conv1_0")


def test_layers_are_in_the_order_of_their_calls():
    network = build(Later())
    assert network.names == ("z", "y", "norm") and network.last == "head"
    images = FOUR.target.test.images[:5]
    params = jit(network.init)(jax.random.key(0), images)["params"]
    found = jit(network.outputs)(params, images)
    np.testing.assert_allclose(found.layers[2], found.features)
    np.testing.assert_allclose(found.logits, found.features @ params[HEAD]["kernel"], rtol=1e-5, atol=1e-6)
    assert {x.dtype for x in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}
    assert build(Rematerialised()).names == ("first",)
    listed = nn.Sequential([partial(jnp.reshape, shape=(-1, 16)), nn.Dense(5), nn.relu, nn.Dense(4)])
    assert build(listed).names == ("layers_1",)
    assert Static.covering(FOUR, OF_FOUR, model=listed) == Static.covering(FOUR, OF_FOUR, model=listed.clone())


ORDER = ["first", "second"]


class Ordered(nn.Module):
    """Two layers in an order that is read from outside."""

    @nn.compact
    def __call__(self, x):
        x = flat(x)
        for name in ORDER:
            x = nn.Dense(4, name=name)(x)
        return nn.Dense(4)(x)


def test_an_order_of_layers_that_changes_outside_is_seen(monkeypatch):
    static = Static.covering(FOUR, OF_FOUR, model=Ordered(), batch=4)
    assert static.layer_names == ("first", "second")
    monkeypatch.setattr(sys.modules[__name__], "ORDER", ["second", "first"])
    sweep = pt_jax.Sweep(transfer, OF_FOUR, {"alpha": [0.0, 1.0]}, 2, ("gain", "cka"), static, FOUR)
    assert list(sweep.coordinates()["layer_name"][1]) == ["second", "first"]
    monkeypatch.setattr(sys.modules[__name__], "ORDER", ["first"])
    assert Static.covering(FOUR, OF_FOUR, model=Ordered(), batch=4).layer_names == ("first",)


@pytest.mark.long
def test_a_module_is_swept_in_lanes_and_through_a_store(tmp_path):
    outputs = ("gain", "cka", "inherited", "tuned")
    static = Static.covering(FOUR, OF_FOUR, model=Rematerialised(), batch=4, inherit="bottom")
    assert repr(static) == repr(Static.covering(FOUR, OF_FOUR, model=Rematerialised(), batch=4, inherit="bottom"))
    assert " at 0x" not in repr(static)
    sweep = pt_jax.Sweep(transfer, OF_FOUR, {"alpha": [0.0, 1.0]}, 2, outputs, static, FOUR)
    found = pt_jax.run(sweep, store=tmp_path / "store").load()
    assert found.cka.dims == ("alpha", "seed", "layer_name") and list(found.layer_name.values) == ["first"]
    assert (found.gain.sel(alpha=0) == 0).all() and list(found.inherited.values[:, 0]) == [0, 1]
    assert (found.tuned == (16 + 1) * 5 + (5 + 1) * 4).all()


def test_a_network_that_is_only_a_head_inherits_nothing():
    static = Static.covering(FOUR, OF_FOUR, model=Linear(), batch=4, dials=())
    assert static.layer_names == ()
    found = jax.device_get(jit(lambda: transfer(jax.random.key(0), OF_FOUR, static, FOUR))())
    assert found.gain == found.inherited == 0 and found.tuned == 17 * 4 and found.cka.shape == (0,)
    assert 0 < found.loss < np.log(4) * 2 and not found.diverged
    with pytest.raises(ValueError, match="model is only a head, which is not accepted here: use one with layers below"):
        compare(jax.random.key(0), OF_FOUR, static, FOUR)


def module(call):
    """Return a module class with this call."""
    return type("Odd", (nn.Module,), {"__call__": nn.compact(call)})()


def flat(x):
    return x.reshape(len(x), -1)


ODD = {
    "an own parameter": lambda self, x: nn.Dense(4)(flat(x) + self.param("shift", nn.initializers.ones, (16,))),
    "no submodule": lambda self, x: flat(x)[:, :4],
    "batch statistics": lambda self, x: nn.Dense(4)(nn.BatchNorm(use_running_average=True)(flat(x))),
    "dropout": lambda self, x: nn.Dense(4)(nn.Dropout(0.5, deterministic=False)(nn.Dense(3)(flat(x)))),
    "another argument": lambda self, x, train: nn.Dense(4)(flat(x)),
    "ten outputs": lambda self, x: nn.Dense(10)(flat(x)),
    "one output": lambda self, x: nn.Dense(4)(flat(x)).mean(0),
    "a pair of outputs": lambda self, x: (nn.Dense(4)(flat(x)), x),
    "no head": lambda self, x: nn.LayerNorm()(nn.Dense(4)(flat(x)))[:, :4] + nn.Dense(1)(flat(x)),
    "a lower head": lambda self, x: nn.Dense(4)(nn.Dense(3, name="head")(flat(x))),
    "larger images": lambda self, x: nn.Dense(4)(x.reshape(-1, 64)),
    "no features": lambda self, x: nn.Dense(4, kernel_init=nn.initializers.zeros)(flat(x)[:, :0]),
    "a table": lambda self, x: nn.Dense(4)(flat(x) + nn.Embed(1, 16)(jnp.zeros(1, int))),
}
SENTENCES = {
    "an own parameter": "shift is in no submodule that it calls: use a submodule for it",
    "no submodule": "it has no submodules with parameters: use layers, and nn.Dense as the last",
    "batch statistics": "it keeps batch_stats: use layers without, such as nn.LayerNorm",
    "dropout": "it ends in InvalidRngError, .*: use a flax.linen module of images alone",
    "another argument": "TypeError, .*'train': use a flax.linen module of images alone",
    "ten outputs": r"it puts out \(n, 10\), but there are 4 classes: use a function \(static, classes, projection\)",
    "one output": r"it puts out \(4,\), but there are 4 classes",
    "a pair of outputs": "it puts out several arrays: use a module that puts out",
    "no head": r"the last submodule called must be the head: use nn.Dense\(4\) as the last",
    "a lower head": "its layer head is not the last that is called: use another name for it",
    "larger images": r"with images \(n, 4, 4, 1\) it ends in TypeError",
    "no features": "nothing goes into its head: use fewer poolings, or larger images",
    "a table": r"Embed_0 puts out \(1, 16\): use layers that put out \(n, ...\)",
}


@pytest.mark.parametrize("name", ODD)
def test_a_module_that_cannot_work_is_one_clear_sentence(name):
    with pytest.raises(ValueError, match=f"model = Odd is not accepted: .*{SENTENCES[name]}") as error:
        Static.covering(FOUR, OF_FOUR, model=module(ODD[name]))
    assert "\n" not in str(error.value)


def test_a_function_that_makes_no_such_network_is_one_clear_sentence():
    def wider(static, classes, projection):
        return nn.Sequential([flat, nn.Dense(classes), nn.Dense(classes)])

    def pooled_too_often(static, classes, projection):
        return models.VGG(classes, layer_names("vgg", 3, 1, False), width=2, stages=3, depth=1)

    for model, sentence in (
        (pooled_too_often, "is not accepted: 1 x 1 pixels cannot be pooled by 2 x 2: use sides that 2 divides"),
        (lambda static, classes, projection: None, r"model = <lambda> is not accepted: it returns a NoneType"),
        (lambda classes: Linear(), "model = <lambda> is not accepted: with images .* TypeError"),
        (Linear, r"model = Linear is not accepted: it is a class: use an instance, Linear\(\), or a function"),
        (wider, "layers_1 of the target is another layer in the source: use one with the same shapes in both"),
        (Linear(), r"it puts out \(n, 4\), but there are 3 classes"),
        ("lenet", "model = 'lenet' is not accepted: use vgg or resnet or vit"),
        (None, "model = None is not accepted: use vgg"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Static.covering(PAIR, POINT, model=model)
    with pytest.raises(ValueError, match="it has no projection layer to keep: use a function"):
        Static.covering(FOUR, OF_FOUR, model=Linear(), projection="keep")


def test_a_module_with_an_array_in_its_fields_is_one_clear_sentence():
    listed = nn.Sequential([nn.Dense(4, kernel_init=nn.initializers.ones), np.ones(3)])
    with pytest.raises(ValueError, match="model is a Sequential that cannot be hashed: use a function"):
        Static.covering(FOUR, OF_FOUR, model=listed)


def test_lists_in_modules_become_tuples_and_nothing_else_changes():
    made = hashable(nn.Sequential([nn.Dense(3), nn.Sequential([nn.relu])]))
    assert made.layers[0] == nn.Dense(3) and made.layers[1].layers == (nn.relu,) and hash(made)
    shared = nn.Dense(16)  # in two places
    twice = hashable(nn.Sequential([flat, shared, shared, nn.Dense(4)]))
    assert twice.layers[1] is twice.layers[2] and build(twice).names == ("layers_1",)
    assert hashable(len) is len and hashable(nn.Dense(3)) == nn.Dense(3)
