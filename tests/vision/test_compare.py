"""Twins: which networks are compared, and that what is said of them is what the diagnostics say."""

import jax
import numpy as np
import pytest

import pt_jax
from pt_jax.vision import compare as module
from pt_jax.vision.compare import DIMS, PATH, compare, labels
from tests.vision.pairs import PAIR, POINT, TINY, lane, leaves, trained

NAMES = labels(TINY)


def found(seed=0, **changes):
    """Return one comparison by name: arrays whose first axis can be looked up by pair."""
    return lane(TINY, compare)(seed, POINT._replace(**changes))


def at(pair, values):
    return np.asarray(values)[NAMES["pair"].index(pair)]


def test_every_result_has_its_dimensions():
    one = found()
    for name, dims in DIMS.items():
        assert getattr(one, name).shape == tuple(len(NAMES[dim]) for dim in dims), name
    assert one.gain == one.error_scratch - one.error and not one.diverged


def test_without_training_twins_stay_where_they_started():
    one = found(steps2=0)
    for pair in ("P-T, P-T", "P-T, P", "RI-T, RI-T, one init"):
        assert at(pair, one.distance) == 0
        np.testing.assert_allclose(at(pair, one.cka), 1, rtol=1e-5)
    assert at("RI-T, RI-T", one.distance) > 1 and at("P-T, RI-T", one.distance) > 1
    assert not one.reset.any() and not one.reset_scratch.any()
    assert not one.criticality.any() and not one.criticality_scratch.any()
    assert np.ptp(one.path[0]) == 0 and one.barrier[0] == 0


def test_without_inheritance_both_are_the_same_training():
    one = found(alpha=0)
    assert at("P-T, RI-T", one.distance) == 0 and one.gain == 0
    assert at("P-T, P-T", one.distance) == at("RI-T, RI-T", one.distance) > 0
    np.testing.assert_array_equal(one.reset, one.reset_scratch)
    np.testing.assert_array_equal(one.criticality, one.criticality_scratch)


def test_networks_are_those_that_transfer_trains():
    nets, one = trained(TINY), found()
    body = TINY.layer_names

    def apart(a, b):
        squares = [(x - y) ** 2 for name in body for x, y in zip(leaves(a[name]), leaves(b[name]), strict=True)]
        return np.sqrt(sum(x.sum() for x in squares))

    expected = {
        "P-T, P": apart(nets.transfer, nets.upstream),
        "RI-T, P": apart(nets.scratch, nets.upstream),
        "P-T, RI-T": apart(nets.transfer, nets.scratch),
    }
    for pair, value in expected.items():
        # Two programs round differently, through 5 steps of Adam, which divides by small slopes.
        np.testing.assert_allclose(at(pair, one.distance), value, rtol=1e-3, err_msg=pair)
    record = lane(TINY)(0, POINT)
    np.testing.assert_allclose([one.error, one.error_scratch], [record.error, record.error_scratch], atol=1e-6)
    np.testing.assert_allclose(at("P-T, P", one.cka), record.cka, rtol=1e-3)


def test_the_barrier_is_the_largest_rise_above_the_line():
    one = found(steps2=40)
    line = one.path[:, :1] + PATH * (one.path[:, -1:] - one.path[:, :1])
    np.testing.assert_allclose(one.barrier, (one.path - line).max(1), rtol=1e-4, atol=1e-6)
    assert (one.barrier >= 0).all() and one.barrier[1] > 0
    assert one.path_error[0, 0] == one.error and one.path_error[1, 0] == one.error_scratch
    assert (one.reset[:, -1] == 0).all()  # all of the training is kept


def test_a_trained_layer_is_critical():
    one = found(steps2=300)
    assert np.isfinite(one.criticality).all() and (one.criticality > 1).all()


def test_criticality_is_of_the_training_samples():
    images = PAIR.target.test.images[::-1]
    target = PAIR.target._replace(test=PAIR.target.test._replace(images=images))
    one, other = found(), module.compare(jax.random.key(0), POINT, TINY, PAIR._replace(target=target))
    assert one.path[0, 0] != other.path[0, 0]
    np.testing.assert_allclose(other.criticality, one.criticality, rtol=1e-3)
    np.testing.assert_allclose(other.criticality_scratch, one.criticality_scratch, rtol=1e-3)


def test_a_sweep_names_the_pairs():
    sweep = pt_jax.Sweep(compare, POINT, {}, 2, static=TINY, data=PAIR, dims=DIMS, labels=labels(TINY))
    assert all(sweep.own_dims(name, len(dims)) == list(dims) for name, dims in DIMS.items())
    assert list(sweep.coordinates()["pair"][1]) == list(NAMES["pair"])
    assert "straight line" in TINY.attributes("path")["long_name"]


def test_what_does_not_fit_is_one_clear_sentence():
    with pytest.raises(ValueError, match="use one typed key"):
        module.compare(0, POINT, TINY, PAIR)
