"""Options of Static that nothing reads at the points of a sweep are refused."""

import pytest

from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.grid import Sweep

UNUSED = [
    ({"hidden": (64,)}, {}, r"hidden = \(64,\) has no effect without model = 'mlp'"),
    ({"patches": 5, "data": "three_patches"}, {}, "patches = 5 has no effect without data = 'multi_patch'"),
    ({"classes": 4}, {}, "classes = 4 has no effect without data = 'classes'"),
    ({"upper": "fresh"}, {}, "upper = 'fresh' has no effect without a model with trained upper layers: use that"),
    ({"upper_optimizer": "adam"}, {}, "upper_optimizer = 'adam' has no effect without a model"),
    (
        {"n_directions": 64, "model": "mlp"},
        {},
        "n_directions = 64 has no effect without model = 'cnn' or 'cnn_trained'",
    ),
    ({"n_directions": 64, "noisy": "all"}, {}, "n_directions = 64 has no effect without .* and noisy = 'rest'"),
    ({"batch2": 0}, {}, "batch2 = 0 has no effect without a batch"),
    ({"n_test": 64}, {}, "n_test = 64 has no effect without another model"),
    ({"nesterov": True}, {"weight_decay1": 0.1}, "nesterov = True has no effect without a momentum above 0: use that"),
]


@pytest.mark.parametrize(("options", "fields", "said"), UNUSED, ids=str)
def test_an_option_that_nothing_reads_is_refused_by_a_sweep(options, fields, said):
    with pytest.raises(ValueError, match=said):
        Sweep(simulate, Point(**fields), {"u": [0.0, 1.0]}, static=Static(**options))


def test_an_option_that_one_cell_reads_is_accepted():
    assert Sweep(simulate, Point(), {"momentum2": [0.0, 0.9]}, static=Static(nesterov=True)).shape == (2, 16)
    for option in ({"hidden": (64,), "model": "mlp"}, {"patches": 5, "data2": "multi_patch", "data": "multi_patch"}):
        assert Sweep(simulate, Point(), {"u": [0.0, 1.0]}, static=Static(**option)).shape == (2, 16)
