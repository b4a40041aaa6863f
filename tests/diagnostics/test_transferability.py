"""Transferability T: a made-up case, blocks before ratios, and layers that do not move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.diagnostics import transferability
from tests.diagnostics.cases import assert_float32_is_close, assert_one_trace, assert_vmap_equals_loop, params, stack

R = {
    "Block_0": {"Conv_0": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}, "Conv_1": {"kernel": np.zeros((1, 2))}},
    "Block_1": {"Conv_0": {"kernel": np.zeros((2, 2))}, "Norm_0": {"scale": np.zeros(3)}},
    "head": {"kernel": np.zeros((2, 1))},
}
A = jax.tree.map(lambda x: x + 2, R)
# From a to b the kernels move by 1 and by 3 in Block_0, by 0.5 in Block_1 and by 1 in the head; bias and norm by 100.
STEP = {"Conv_0": 1.0, "Conv_1": 3.0}
B = {
    "Block_0": {
        "Conv_0": {"kernel": np.full((2, 2), 3.0), "bias": np.full(2, 102.0)},
        "Conv_1": {"kernel": np.full((1, 2), 5.0)},
    },
    "Block_1": {"Conv_0": {"kernel": np.full((2, 2), 2.5)}, "Norm_0": {"scale": np.full(3, 102.0)}},
    "head": {"kernel": np.full((2, 1), 1.0)},
}


def three(seed):
    return tuple(params(1000 * i + seed) for i in range(3))


def test_a_made_up_tensor():
    r, a, b = jnp.array([0.0, 0.0]), jnp.array([1.0, 4.0]), jnp.array([2.0, -4.0])
    np.testing.assert_allclose(transferability.ratio(r, a, b), (2 + 4) / (1 + 8), rtol=1e-6)


def test_a_block_is_averaged_before_the_ratio_and_the_mean_leaves_out_the_head():
    found = transferability.layers(R, A, B, head="head")
    # D(r, b) = 3 and 5, D(a, b) = 1 and 3: (3 + 5) / (1 + 3) = 2, where a mean of ratios were (3 + 5/3) / 2 = 7/3.
    expected = {"Block_0": 2.0, "Block_1": 5.0, "head": 1.0}
    assert set(found.blocks) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found.blocks[name], value, rtol=1e-6)
    np.testing.assert_allclose(found.whole, 3.5, rtol=1e-6)
    np.testing.assert_allclose(transferability.layers(R, A, B).whole, 8 / 3, rtol=1e-6)


def test_blocks_of_ones_own():
    modules = transferability.layers(R, A, B, block=lambda name: name)
    assert set(modules.blocks) == {"Block_0/Conv_0", "Block_0/Conv_1", "Block_1/Conv_0", "head"}
    np.testing.assert_allclose(modules.blocks["Block_0/Conv_1"], 5 / 3, rtol=1e-6)
    kernel = transferability.ratio(*(x["Block_0"]["Conv_1"]["kernel"] for x in (R, A, B)))
    np.testing.assert_allclose(modules.blocks["Block_0/Conv_1"], kernel, rtol=1e-6)
    one = transferability.layers(R, A, B, block=lambda name: "all")
    np.testing.assert_allclose(one.whole, (3 + 5 + 2.5 + 1) / (1 + 3 + 0.5 + 1), rtol=1e-6)


def test_a_layer_that_did_not_move_is_nan_and_has_no_part_in_the_mean():
    assert np.isnan(transferability.ratio(jnp.ones(2), jnp.zeros(2), jnp.zeros(2)))
    frozen = B | {"Block_1": A["Block_1"]}
    found = transferability.layers(R, A, frozen, head="head")
    assert np.isnan(found.blocks["Block_1"])
    np.testing.assert_allclose(found.whole, 2.0, rtol=1e-6)
    assert np.isnan(transferability.layers(R, A, A).whole)


def test_weights_that_are_nan_are_not_left_out_of_the_mean():
    for i in range(3):
        broken = [R, A, B]
        broken[i] = broken[i] | {"Block_1": jax.tree.map(lambda x: x * jnp.nan, B["Block_1"])}
        found = transferability.layers(*broken, head="head")
        assert np.isnan(found.blocks["Block_1"]) and np.isfinite(found.blocks["Block_0"]) and np.isnan(found.whole)


def test_shift_scale_and_order_do_not_matter():
    before = transferability.layers(*three(0))
    shift = params(7)
    moved = transferability.layers(*(jax.tree.map(lambda x, y: -5 * x + y, theta, shift) for theta in three(0)))
    turned = transferability.layers(*(jax.tree.map(lambda x: x[..., ::-1], theta) for theta in three(0)))
    for after in (moved, turned):
        # Differences of parameters of size 1, in float32.
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), after, before)


def test_vmap_one_trace_and_float64():
    assert_vmap_equals_loop(transferability.layers, *(stack(x) for x in zip(*map(three, range(64)), strict=True)))
    assert_one_trace(transferability.layers, three(0), three(1))
    double = jax.tree.map(lambda x: np.asarray(x, np.float64), three(0))
    assert_float32_is_close(transferability.layers, *double, rtol=1e-5)  # means of up to 72 absolute values


def test_branches_beside_a_block_are_left_out():
    names = ("conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0.downsample.0", "fc")
    r, a, b = (
        {f"{name}.weight": jnp.full((2, 2), x) for name, x in zip(names, xs, strict=True)}
        for xs in ((0.0,) * 5, (2.0,) * 5, (3.0, 3.0, 5.0, 90.0, 1.0))
    )
    b["layer1.0.bn1.weight"] = a["layer1.0.bn1.weight"] = r["layer1.0.bn1.weight"] = jnp.ones(2)

    def residual(name):
        return name.rpartition(".")[0] if name.startswith("layer") else name

    found = transferability.layers(r, a, b, head="fc", block=residual)
    # 3 / 1, (3 + 5) / (1 + 3) and 1 / 1; with the branch, (3 + 5 + 90) / (1 + 3 + 88).
    for name, value in {"conv1": 3, "layer1.0": 2, "fc": 1}.items():
        np.testing.assert_allclose(found.blocks[name], value, rtol=1e-6)
    assert len(found.blocks) == 3
    np.testing.assert_allclose(found.whole, 2.5, rtol=1e-6)
    every = transferability.blocks(r, a, b, lambda name: residual(name).partition(".downsample")[0], without=())
    np.testing.assert_allclose(every["layer1.0"], 98 / 92, rtol=1e-6)


def test_the_published_values():
    assert len(transferability.RESNET50_CIFAR10) == 17
    assert abs(np.mean(transferability.RESNET50_CIFAR10) - 7.78) < 0.01  # two decimals are published


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="theta_a has another pytree structure than theta_r"):
        transferability.layers(R, {"head": R["head"]}, R)
    with pytest.raises(ValueError, match=r"theta_b has shape \(3,\), but \(2,\) in theta_r"):
        transferability.ratio(jnp.ones(2), jnp.ones(2), jnp.ones(3))
    for head in ("classifier", "Block_0/Conv_0"):
        with pytest.raises(ValueError, match=rf"head is '{head}'; expected None or one of .*: Block_0, Block_1, head"):
            transferability.layers(R, A, B, head=head)
    with pytest.raises(ValueError, match="expected None or one of several"):
        transferability.layers(*[{"norm": {"scale": jnp.ones(2)}}] * 3)
