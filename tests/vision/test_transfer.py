"""Transfer on images: what is inherited, what is trained, and what a trajectory may and may not depend on."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pt_jax
from pt_jax.diagnostics import similarity
from pt_jax.sweep import cost
from pt_jax.vision import inherit
from pt_jax.vision import networks as module
from pt_jax.vision.fields import HEAD
from pt_jax.vision.networks import networks
from pt_jax.vision.point import Static
from pt_jax.vision.samples import Split
from pt_jax.vision.transfer import _by_layer as by_layer
from pt_jax.vision.transfer import transfer
from tests.compiling import jit
from tests.vision.pairs import PAIR, POINT, TINY, lane, leaves, same, trained

DIALS = ("labels1", "invert1", "pixels2", "block1", "noise1", "shift1", "flip1", "smoothing1")
FULL = replace(TINY, dials=DIALS, conv="winograd")
full = partial(lane, FULL, compiled=jit)
LAYERS = TINY.layer_names
UNTESTED = PAIR.source._replace(test=jax.tree.map(lambda x: x + 3, PAIR.source.test))


def test_alpha_0_equals_scratch_bit_for_bit():
    found = lane(TINY)(3, POINT._replace(alpha=0.0))
    for name in ("error", "loss", "nc1", "cka", "distance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(found, f"{name}_scratch"), err_msg=name)
    assert found.gain == 0 and found.inherited == 0 and not found.diverged
    assert found.distance.min() > 0 and found.loss != found.loss_upstream


def test_all_is_inherited_but_the_head():
    nets = trained(TINY)
    for name in LAYERS:
        assert same(nets.start[name], nets.upstream[name]) and not same(nets.upstream[name], nets.random[name])
    assert same(nets.start[HEAD], nets.fresh[HEAD])


def test_each_method_tunes_its_parameters_and_no_other():
    sizes = {name: sum(x.size for x in leaves(tree)) for name, tree in trained(TINY).fresh.items()}
    keep = replace(TINY, method="skip", projection="keep")
    methods = {TINY: set(sizes), replace(TINY, method="probe"): {HEAD}, keep: {LAYERS[1], HEAD}}
    for static, expected in methods.items():
        nets = trained(static, 0, POINT._replace(layer=int(static.method == "skip")))
        for run, start in ((nets.transfer, nets.start), (nets.scratch, nets.fresh)):
            assert {name for name in run if not same(run[name], start[name])} == expected
        assert inherit.tuned(nets.factor, nets.fresh, 4) == sum(sizes[name] for name in expected)
    few = inherit.tuned(trained(TINY).factor, trained(TINY).fresh, 2)
    assert sum(sizes.values()) - few == sizes[HEAD] / 2  # of a head of 4 outputs, 2 are in use


def test_a_projection_is_kept_or_dropped():
    keep, drop = (replace(TINY, method="skip", projection=kind) for kind in ("keep", "drop"))
    nets = trained(keep, 0, POINT._replace(layer=1))
    assert same(nets.start["projection"], nets.upstream["projection"]) and keep.layer_names == (*LAYERS, "projection")
    assert drop.layer_names == LAYERS
    assert module.source_network(drop).names == (*LAYERS, "projection") and module.target_network(drop).names == LAYERS


def test_cka_is_plain_or_debiased():
    point = POINT._replace(classes2=2)
    above, below = lane(TINY, networks, jit)(0, point)  # a program that other tests have, too
    _, target = module.draw_tasks(jax.random.key(0), point, TINY, PAIR)
    index = np.flatnonzero(PAIR.target.test.labels < 2)  # images of other classes are none of the task
    network, images = module.target_network(TINY), PAIR.target.test.images[index]
    nets = [network.outputs(params, images).layers for params in (below.transfer, below.scratch)]
    found = [
        jit(lambda *nets, cka=cka: by_layer(*nets, replace(TINY, cka=cka), jnp.asarray)["cka_runs"])(
            above, below, target
        )
        for cka in ("plain", "debiased")
    ]
    assert 4 < len(index) < len(PAIR.target.test.labels)
    for debiased in (False, True):
        np.testing.assert_allclose(found[debiased], similarity.layers(*nets, debiased=debiased), rtol=1e-5)  # float32
    assert np.abs(found[0] - found[1]).min() > 1e-4
    with pytest.raises(ValueError, match="cka = 'both' is not accepted: use plain or debiased"):
        replace(TINY, cka="both")


def test_frozen_inherited_parameters_stay_and_fresh_ones_train():
    nets = trained(TINY, 5, POINT._replace(alpha=0.5, lr_ratio=0.0))  # a seed without a dead filter
    for name, width in zip(LAYERS, (2, 4), strict=True):
        for x, start in zip(leaves(nets.transfer[name]), leaves(nets.start[name]), strict=True):
            np.testing.assert_array_equal(x[..., : width // 2], start[..., : width // 2])
            assert not np.array_equal(x[..., width // 2 :], start[..., width // 2 :])
    assert not same(nets.scratch, nets.fresh)


def test_one_compilation_for_many_values_of_every_field():
    run, losses = full(), []
    for i in range(6):
        dials = {"labels1": i / 6, "invert1": i / 6, "pixels2": i / 6, "noise1": i / 3, "smoothing1": i / 9}
        other = {"block1": (0, 1, 2, 4)[i % 4], "shift1": i % 3, "flip1": i / 5, "n1": 10 + i, "n2": 20 - i}
        losses.append(run(i, POINT._replace(**dials, **other, steps1=i, classes2=4 - i % 3, alpha=i / 6)).loss_upstream)
    assert run.compiled() == 1 and len(set(map(float, losses))) == 6


SPREAD = {
    "n1": [10, 20, 30, 40],
    "n2": [20, 12, 8, 16],
    "classes2": [2, 3, 4, 4],
    "alpha": [0, 0.5, 0.7, 1],
    "steps1": [6, 0, 4, 5],
    "steps2": [3, 5, 0, 4],
    "lr1": [0.01, 0.02, 0.03, 0.01],
    "noise1": [0, 0.5, 0, 1],
    "block1": [0, 1, 2, 4],
    "labels1": [0, 0.5, 1, 0.2],
}


def test_vmap_equals_a_loop():
    points = jax.tree.map(lambda x: jnp.full(4, float(x)), POINT)._replace(
        **{k: jnp.array(v, float) for k, v in SPREAD.items()}
    )
    together = jax.device_get(
        jit(jax.vmap(lambda s, p: transfer(jax.random.key(s), p, FULL, PAIR)))(jnp.arange(4), points)
    )
    for i in range(4):
        apart = full()(i, jax.tree.map(lambda x, i=i: x[i], points))
        for name, x in apart._asdict().items():
            # Float32 sums in another order, through up to 6 steps of Adam, which divides by small slopes.
            np.testing.assert_allclose(getattr(together, name)[i], x, rtol=5e-3, atol=5e-3, err_msg=f"{name}, lane {i}")


@pytest.mark.long
def test_lanes_that_fill_the_cache_run_one_by_one():
    large = replace(TINY, batch=1000)  # minibatches are drawn with replacement
    assert large.lanes == 1 < TINY.lanes
    point = POINT._replace(alpha=0.5, lr_ratio=0.5)
    run = jit(jax.vmap(lambda ratio: networks(jax.random.key(0), point._replace(lr_ratio=ratio), large, PAIR)[1]))
    together, apart = jax.device_get(run(jnp.array([0.5, 1.0]))), trained(large, 0, point)
    for x, y in zip(leaves(together.transfer), leaves(apart.transfer), strict=True):
        np.testing.assert_allclose(x[0], y, rtol=1e-5, atol=1e-6)  # two programs; no sum in another order
        assert not np.array_equal(x[0], x[1])
    for x in leaves(together.scratch):
        np.testing.assert_array_equal(x[0], x[1])


def test_padding_changes_nothing():
    small, padded = (lane(replace(TINY, batch=None, n2=n), compiled=jit)(1, POINT) for n in (20, 50))
    for name, x in small._asdict().items():
        # Means over the training samples are sums of another length, through 5 steps of Adam.
        np.testing.assert_allclose(getattr(padded, name), x, rtol=1e-3, atol=1e-4, err_msg=name)
    assert small.loss != lane(TINY)(1, POINT).loss  # full batches are others than minibatches


def test_dials_that_are_off_change_nothing():
    for name in ("error_upstream", "loss_upstream", "loss"):
        np.testing.assert_allclose(getattr(full()(2, POINT), name), getattr(lane(TINY)(2, POINT), name), rtol=1e-5)


def test_a_diverged_network_says_so():
    found = lane(TINY)(0, POINT._replace(lr1=1e30))
    assert found.diverged and not lane(TINY)(0, POINT).diverged
    assert np.isfinite(found.error_scratch)
    below = lane(TINY)(0, POINT._replace(lr2=1e30))
    assert below.diverged and np.isnan(below.error_scratch) and np.isnan(below.gain)


EXTREMES = (
    *({name: value} for name in ("lr1", "lr2") for value in (1e3, 1e15, 1e30, 3e38)),
    *({"lr_ratio": 1e25, "alpha": alpha} for alpha in (0.5, 1.0)),
    *({"lr2": 1e20, "lr_ratio": ratio, "alpha": 0.5} for ratio in (0.0, 1e20, 3e38)),
    *({"noise1": noise} for noise in (1e10, 1e19, 3e38)),
    {"labels1": 1.0, "smoothing1": 1.0, "flip1": 1.0, "shift1": 3.0, "lr1": 1e6},
    {"lr1": 1e-45, "lr2": 1e-45, "steps1": 0, "steps2": 0, "n1": 1, "n2": 1},
)
UNDEFINED = {"nc1", "nc1_scratch", "nc1_upstream", "cka", "cka_scratch", "cka_runs", "transferability"}


@pytest.mark.parametrize("change", EXTREMES, ids=str)
def test_nan_is_always_diverged(change):
    found = full()(0, POINT._replace(**change))
    missing = [name for name, x in found._asdict().items() if np.isnan(x).any() and name not in UNDEFINED]
    assert found.diverged or not missing
    assert np.isfinite(found.error) and np.isfinite(found.error_upstream)  # what answers nothing is wrong


def test_a_sweep_through_a_store_resumes_to_the_same_bits(tmp_path):
    static, axes = replace(TINY, method="probe"), {"alpha": [0.0, 0.5, 1.0]}
    of_both = [name + of for name in ("loss", "cka", "distance") for of in ("", "_scratch")]
    outputs = ("gain", "error", "tuned", *of_both)

    def sweep(seeds):
        return pt_jax.Sweep(transfer, POINT, axes, seeds=seeds, outputs=outputs, static=static, data=PAIR, lanes=3)

    pt_jax.run(sweep(1), store=tmp_path / "store")
    resumed, whole = pt_jax.run(sweep(3), store=tmp_path / "store").load(), pt_jax.run(sweep(3), store=tmp_path / "new")
    for name in outputs:
        np.testing.assert_array_equal(resumed[name], whole[name])
    # Lanes along alpha are wider than those of scratch, which is shared along it.
    for name in ("loss", "cka", "distance"):
        np.testing.assert_array_equal(whole[name].sel(alpha=0), whole[f"{name}_scratch"].sel(alpha=0), err_msg=name)
    assert resumed.cka.dims == ("alpha", "seed", "layer_name") and list(resumed.layer_name.values) == list(LAYERS)
    assert resumed.gain.attrs["long_name"].startswith("gain")


def test_what_is_kept_of_transfer_alone_trains_no_network_from_scratch():
    def work(*outputs):
        sweep = pt_jax.Sweep(transfer, POINT, {}, outputs=outputs, static=TINY, data=PAIR)
        return cost.of(sweep.program(TINY)).work

    alone = work("error", "loss", "tuned", "transferability")
    assert alone < 0.8 * work("gain")


def test_constants_are_taken_inside_of_somebodys_jit():
    point, data = jax.tree.map(jnp.float32, POINT), jax.tree.map(jnp.asarray, PAIR)

    @jit
    def loss(lr):
        return transfer(jax.random.key(0), point._replace(lr1=lr), TINY, data).loss

    np.testing.assert_allclose(loss(POINT.lr1), lane(TINY)(0, POINT).loss, rtol=1e-5)
    few = point._replace(n2=jnp.float32(69))
    with pytest.raises(ValueError, match=r"n2 = 69 is above the 68 training samples"):
        jax.jit(lambda lr: transfer(jax.random.key(0), few._replace(lr1=lr), TINY, data))(0.1)


@pytest.mark.long
def test_float64_is_the_same_trajectory_in_float64():
    point = POINT._replace(**{name: values[1] for name, values in SPREAD.items()})
    with jax.enable_x64(True):
        run = jit(lambda point: transfer(jax.random.key(0), point, FULL, PAIR))
        double = jax.device_get(run(jax.tree.map(float, point)))
    single = full()(0, point)
    for name in ("loss", "loss_upstream", "loss_scratch", "cka", "distance"):
        assert getattr(double, name).dtype == np.float64
        # The rounding of float32 through up to 6 steps of Adam, which divides by small slopes.
        np.testing.assert_allclose(getattr(single, name), getattr(double, name), rtol=1e-3, err_msg=name)


def test_what_does_not_fit_is_one_clear_sentence():
    key = jax.random.key(0)
    for point, sentence in (
        (POINT._replace(n2=69), r"n2 = 69 is above the 68 training samples there are: use fewer"),
        (POINT._replace(n1=60, classes1=2), r"n1 = 60 is above the \d+ training samples"),
        (POINT._replace(classes2=5), "classes2 = 5 is above the 4 classes of the data, and of the head: use at most 4"),
        (POINT._replace(layer=2), "layer = 2 does not exist in this network: use 0 = conv0_0, 1 = conv1_0"),
        (POINT._replace(block1=3), "block1 = 3 is not accepted: use 0, or pixels that divide 4 x 4"),
        (POINT._replace(shift1=4), "shift1 = 4 moves images of 4 x 4 pixels out of sight: use fewer pixels"),
        (POINT._replace(layer=1), "layer = 1 has no effect with method = full: use method layer or skip"),
        (POINT._replace(noise1=1), "noise1 = 1 is not compiled in: name it in Static.dials"),
        (POINT._replace(alpha=1.5), "alpha = 1.5 is not accepted: fraction of the upstream parameters inherited must"),
        (POINT._replace(n2=10000001), "n2 = 10000001 is above the"),
        (POINT._replace(alpha=np.ones(2)), r"alpha has shape \(2,\): a trajectory takes one point"),
    ):
        with pytest.raises(ValueError, match=sentence):
            transfer(key, point, TINY, PAIR)
    with pytest.raises(ValueError, match="layers has 'conv9', which does not exist here: use some of conv0_0"):
        replace(TINY, layers=("conv9",))
    axes = {"n2": [20, 60], "classes2": [2, 4]}  # each fits the base point, not every pair of them does
    with pytest.raises(ValueError, match=r"n2 = 60 is above the \d+ training samples"):
        pt_jax.Sweep(transfer, POINT, axes, static=TINY, data=PAIR)
    with pytest.raises(ValueError, match="source has 68 training samples, but static says 67"):
        transfer(key, POINT, replace(TINY, counts1=(22, 22, 23)), PAIR)
    with pytest.raises(ValueError, match="source has other labels than static says"):
        transfer(key, POINT, replace(TINY, counts1=tuple(np.add(TINY.counts1, (1, -1, 0)).tolist())), PAIR)
    with pytest.raises(ValueError, match=r"source images have shape \(4, 4, 1\), but static says \(4, 8, 1\)"):
        networks(key, POINT, replace(TINY, shape=(4, 8, 1)), PAIR)
    with pytest.raises(ValueError, match="use one typed key"):
        transfer(0, POINT, TINY, PAIR)
    for wrong, sentence in (
        ({"point": POINT._asdict()}, "point is a dict, which is not accepted: use a vision Point"),
        ({"point": pt_jax.Point()}, "point is a Point, which is not accepted: use a vision Point"),
        ({"static": None}, "static is a NoneType, which is not accepted: use a vision Static"),
        ({"data": tuple(PAIR)}, r"data is a tuple, which is not accepted: use datasets\.pair"),
        ({"point": POINT._replace(lr1=None)}, "lr1 = None is not accepted: source: learning rate must be a number"),
        ({"point": POINT._replace(n1="40")}, "n1 = '40' is not accepted"),
        ({"point": POINT._replace(n1=20.5)}, "n1 = 20.5 is not accepted"),
        ({"data": PAIR._replace(source=UNTESTED)}, "source has no test sample of the classes below 3: use data that"),
    ):
        with pytest.raises(ValueError, match=sentence):
            transfer(key, **{"point": POINT, "static": TINY, "data": PAIR, **wrong})
    with pytest.raises(ValueError, match="source has no test sample of the classes below 3"):
        Static.covering(PAIR._replace(source=UNTESTED), POINT)
    for n2, sentence in (("a", "n2 = 'a' is"), (None, "n2 = None is"), (np.nan, "n2 = nan is"), (-5, "n2 = -5 is")):
        with pytest.raises(ValueError, match=sentence):
            Static.covering(PAIR, POINT._replace(n2=n2))
    train, listed = PAIR.source.train, Split([[[[0.0]]]], [0])
    for data, sentence in (
        (PAIR.source, r"data is a Dataset, which is not accepted: use datasets\.pair"),
        (PAIR._replace(source=None), "source is a NoneType, which is not accepted"),
        (PAIR._replace(source=PAIR.source._replace(train=listed)), "source holds no arrays, which is not accepted"),
        (PAIR._replace(source=PAIR.source._replace(train=train._replace(labels=train.labels / 2))), "labels of float"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Static.covering(data, POINT)
    with pytest.raises(ValueError, match=r"counts1, n1 cannot be given: data and point say so"):
        Static.covering(PAIR, POINT, n1=5, counts1=(1, 2))
