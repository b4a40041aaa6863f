"""The architectures: shapes, what they start as, and what their layers are."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import collapse, similarity
from pt_jax.vision import models, networks, task
from pt_jax.vision.fields import HEAD, MODELS, layer_names
from pt_jax.vision.point import Static
from tests.compiling import jit
from tests.vision.pairs import PAIR, POINT, TINY, lane, trained

IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 1)).astype(np.float32)


def static(model, **options):
    return Static((5,) * 3, (5,) * 3, model=model, **{"shape": (8, 8, 1), "width": 4, "depth": 1, **options})


def build(model, projection=False, **options):
    network = models.build(static(model, **options), 3, projection)
    return network, jit(network.init)(jax.random.key(1), IMAGES)["params"]


@pytest.mark.parametrize("model", MODELS)
def test_a_network_starts_with_outputs_0_and_features_of_order_1(model):
    network, params = build(model, projection=True)
    assert set(params) == {*network.names, HEAD} and network.names[-1] == "projection"
    found = jit(network.outputs)(params, IMAGES)
    assert found.logits.shape == (6, 3) and not found.logits.any()
    assert len(found.layers) == len(network.names) and all(len(x) == 6 for x in found.layers)
    assert 0.1 < jnp.sqrt(jnp.mean(found.features**2)) < 10
    assert params[HEAD]["kernel"].shape[0] == found.features.shape[1]


@pytest.mark.parametrize(("side", "width"), [(8, 2), (32, 16)])
def test_a_projection_layer_has_at_most_128_units(side, width):
    shape = (side, side, 3)
    network = models.build(static("vgg", shape=shape, width=width), 3, True)
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *shape)))["params"]
    mapped = (side // 4) ** 2 * 2 * width
    assert params["projection"]["kernel"].shape == (mapped, min(mapped, 128))
    assert params[HEAD]["kernel"].shape == (min(mapped, 128), 3)


@pytest.mark.parametrize("model", ["vgg", "resnet"])
def test_both_forms_of_the_convolution_give_one_network(model):
    (network, params), (other, _) = build(model), build(model, conv="lax")
    a, b = (jit(n.outputs)(params, IMAGES).features for n in (network, other))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # float32 sums in another order, through two layers


@pytest.mark.parametrize("model", ["resnet", pytest.param("vit", marks=pytest.mark.long)])
def test_a_deep_residual_network_keeps_the_size_of_its_features(model):
    network, params = build(model, depth=3)
    features = jit(network.outputs)(params, IMAGES).features
    assert 0.1 < jnp.sqrt(jnp.mean(features**2)) < 10


def test_width_and_depth_are_those_of_static():
    network, params = build("vgg", depth=2, width=3)
    assert network.names == ("conv0_0", "conv0_1", "conv1_0", "conv1_1")
    assert [params[name]["conv"]["kernel"].shape[3] for name in network.names] == [3, 3, 6, 6]
    # 3 x 3 x (1 x 3 + 3 x 3 + 3 x 6 + 6 x 6) weights, 18 biases, and a head of 2 x 2 x 6 features and 3 classes.
    assert sum(x.size for x in jax.tree.leaves(params)) == 594 + 18 + 75


def test_the_skip_connection_adds_an_averaged_layer_to_the_features():
    network, params = build("vgg")
    # One program for both: two would round apart.
    plain, skipped = (jit(network.outputs)(params, IMAGES, jnp.array([skip, 0.0])) for skip in (0.0, 1.0))
    added = np.asarray(skipped.features - plain.features)
    np.testing.assert_allclose(added[:, :4], plain.layers[0].mean((1, 2)), rtol=1e-5, atol=1e-6)
    assert not added[:, 4:].any()  # 4 channels, padded to 32 features
    without = jit(network.outputs)(params, IMAGES, None)
    np.testing.assert_allclose(without.features, plain.features, rtol=1e-5, atol=1e-6)


def test_the_diagnostics_see_the_modules_of_a_network():
    network, params = build("resnet")
    found = jit(lambda params: similarity.modules(network.apply, params, params, IMAGES))(params)
    assert {"stem", "block0_0", "block1_0"} <= set(found)
    np.testing.assert_allclose([found["stem"], found["block1_0"]], 1, rtol=1e-5)


def test_images_that_do_not_fit_are_one_clear_sentence():
    with pytest.raises(ValueError, match="images of 6 x 8 do not fit vit: use sides that 4 divides"):
        Static((5, 5), (5, 5), (6, 8, 1), model="vit")
    with pytest.raises(ValueError, match="images of 6 x 8 do not fit vgg"):
        Static((5, 5), (5, 5), (6, 8, 1))
    with pytest.raises(ValueError, match="model = 'lenet' is not accepted: use vgg or resnet or vit"):
        Static((5, 5), (5, 5), (8, 8, 1), model="lenet")
    with pytest.raises(ValueError, match="6 x 8 pixels are not 4 x 4 patches: use sides that 4 divides"):
        models.ViT(3, layer_names("vit", 1, 1, False), 2, 1, 1).init(jax.random.key(0), jnp.zeros((2, 6, 8, 1)))


def test_nc1_on_the_source_is_of_the_features_that_the_head_of_the_target_gets():
    for projection in ("drop", "keep"):
        options = replace(TINY, projection=projection, method="probe")
        source = networks.draw_tasks(jax.random.key(0), POINT, options, PAIR)[0]
        order = source.order[: int(POINT.n1)]  # what follows is padding
        found = networks.source_network(options).outputs(trained(options).upstream, task.images(source, order))
        nc1 = [float(collapse.variability(x.reshape(len(x), -1), source.seen[order], 3)) for x in found.layers[-2:]]
        expected = nc1[projection == "keep"]
        assert lane(options, compiled=jit)(0, POINT).nc1_upstream == pytest.approx(expected, rel=1e-4)  # float32
        assert abs(nc1[0] / nc1[1] - 1) > 0.01  # in front of the projection and behind it
