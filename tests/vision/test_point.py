"""Options of Static: sizes, tuples, and optimizers of optax and of the user's own."""

from functools import partial

import numpy as np
import optax
import pytest

from pt_jax.vision.point import Static
from tests.vision.pairs import PAIR, POINT

COVERING = partial(Static.covering, PAIR, POINT, width=2, depth=1)


@pytest.mark.parametrize("name", ["adam", "sgd", "adamw", "lion", "adafactor", "lars"])
def test_an_optimizer_by_its_name_is_accepted(name):
    assert COVERING(optimizer=name).optimizer == name


@pytest.mark.parametrize(
    "name",
    [
        *("chain", "lbfgs", "polyak_sgd", "scale_by_schedule", "add_decayed_weights", "GradientTransformation"),
        *("adamm", "", "__name__", "apply_updates", "constant_schedule", "identity", None, 3, optax.adam(0.1)),
    ],
    ids=lambda name: str(name)[:30],
)
def test_what_is_no_optimizer_is_refused_by_a_sentence(name):
    with pytest.raises(ValueError, match=r"optimizer = .* is not accepted.*: use the name of one in optax that needs"):
        COVERING(optimizer=name)


@pytest.mark.parametrize("function", [optax.lbfgs, lambda rate: rate, lambda: optax.adam(0.1), optax.chain])
def test_a_function_that_makes_no_optimizer_is_refused_by_a_sentence(function):
    with pytest.raises(ValueError, match=r"optimizer = '.*' is not accepted, it ends in .*: use the name") as error:
        COVERING(optimizer=function)
    assert "\n" not in str(error.value)


def test_an_optimizer_of_the_users_own_may_know_the_layers_and_only_those_that_there_are():
    def apart(rate, *names):
        kinds = {"body": optax.sgd(rate), "head": optax.set_to_zero()}
        return optax.multi_transform(kinds, {name: "body" for name in names} | {"head": "head"})

    assert COVERING(optimizer=lambda rate: apart(rate, "conv0_0", "conv1_0"))
    with pytest.raises(ValueError, match=r"optimizer = '<lambda>' is not accepted, it ends in ValueError"):
        COVERING(optimizer=lambda rate: apart(rate, "conv9"))


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            {"batch": 10**9},
            "batch = 1000000000 is not accepted in Static: use a whole number of at least 1 and",
        ),
        ({"width": 10**6}, "width = 1000000 is not accepted in Static"),
        ({"stages": 10**9}, "stages = 1000000000 is not accepted in Static"),
        ({"depth": 10**9}, "depth = 1000000000 is not accepted in Static"),
        ({"width": 2.0}, "width = 2.0 is not accepted in Static"),
        ({"batch": "16"}, "batch = '16' is not accepted in Static"),
        ({"layers": "conv0_0"}, "layers = 'conv0_0' is not accepted in Static: use a tuple"),
        ({"dials": None}, "dials = None is not accepted in Static: use a tuple"),
        ({"dials": ("labels3",)}, "dials has 'labels3', which does not exist here: use some of labels1"),
        ({"schedule": np.array([1, 2])}, r"schedule = array\(\[1, 2\]\) is not accepted: use constant or "),
        ({"counts1": (1.5, 2)}, "counts1 = .* is not accepted"),
        ({"shape": (4, 4)}, r"shape = \(4, 4\) is not accepted in Static: use \(height, width, channels\)"),
        ({"method": None}, "method = None is not accepted: use full"),
        ({"model": ["vgg"]}, r"model = \['vgg'\] is not accepted: use vgg"),
    ],
    ids=str,
)
def test_an_option_that_cannot_work_is_one_clear_sentence(option, sentence):
    known = {"counts1": (5, 5), "counts2": (5, 5), "shape": (4, 4, 1), "depth": 1}
    with pytest.raises(ValueError, match=sentence):
        Static(**{**known, **option})


def test_lists_and_numbers_of_numpy_are_taken():
    listed = Static([5, 5], np.array([5, 5]), (4, 4, 1), width=np.int64(2), layers=["conv0_0"], dials=["noise1"])
    assert listed == Static((5, 5), (5, 5), (4, 4, 1), width=2, layers=("conv0_0",), dials=("noise1",))
    assert hash(listed) and listed.layer_names[0] == "conv0_0"
