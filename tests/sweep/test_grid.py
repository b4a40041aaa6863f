"""What a Sweep accepts, what it refuses in one sentence, and how it puts points into size classes."""

import jax
import numpy as np
import pytest

from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import simulate
from pt_jax.sweep.grid import Sweep
from pt_jax.sweep.overlap import positions, union_of
from pt_jax.sweep.run import run
from tests.sweep.cases import Dice, Throw, throw, throw_sweep


def point_at(sweep, index):
    """The point of one cell."""
    point = sweep.point
    for axis, i in zip(sweep.grid, index, strict=True):
        point = point._replace(**dict(zip(axis.fields, axis.values[i], strict=True)))
    return point


def test_the_grid_is_the_product_of_the_axes_and_the_seeds():
    sweep = throw_sweep({"shift": [1, 2, 3], "scale": np.linspace(0, 1, 4)}, seeds=5)
    assert sweep.shape == (3, 4, 5)
    assert sweep.trajectories == 60
    assert [axis.name for axis in sweep.grid] == ["shift", "scale"]


def test_no_axis_is_a_grid_of_one_cell():
    assert throw_sweep({}, seeds=3).shape == (3,)


def test_a_coupled_axis_moves_its_fields_together():
    (axis,) = throw_sweep({"shift,scale": [1.0, 2.0, 4.0]}).grid
    assert (axis.fields, axis.name, len(axis)) == (("shift", "scale"), "shift", 3)
    np.testing.assert_array_equal(axis.values, [[1, 1], [2, 2], [4, 4]])


def test_a_coupled_axis_may_be_a_path():
    path = [[1.0, 5.0], [1.0, 6.0], [2.0, 5.0]]  # a field may repeat along a path, a pair may not
    (axis,) = throw_sweep({"shift, scale": path}).grid
    assert axis.fields == ("shift", "scale")
    np.testing.assert_array_equal(axis.values, path)


@pytest.mark.parametrize("x64", [False, True])
def test_an_evenly_spaced_finer_axis_finds_the_old_values(x64):
    with jax.enable_x64(x64):
        coarse, fine = (throw_sweep({"shift": np.linspace(0, 1, n)}, seeds=1) for n in (6, 16))
        assert not set(coarse.grid[0].values.flat) <= set(fine.grid[0].values.flat)  # by a rounding
        assert union_of(coarse, fine).shape == (16, 1)
        np.testing.assert_array_equal(positions(fine, coarse)[0], [0, 3, 6, 9, 12, 15])


def test_double_precision_tells_apart_what_float32_does_not():
    close = {"shift": [-1.0, 0.0, 1.0, 1.0 + 1e-9, 1e300]}
    with jax.enable_x64(True):
        one, other = (throw_sweep({"shift": [x]}) for x in close["shift"][2:4])
        assert throw_sweep(close).shape == (5, 4) and union_of(one, other).shape == (2, 4)
        with pytest.raises(ValueError, match="shift repeats a value: all must differ in their first 11 digits"):
            throw_sweep({"shift": [1.0, 1.0 + 1e-12]})


def test_seeds_are_a_count_or_a_list():
    for seeds, expected in ((3, (0, 1, 2)), ([7, 2], (7, 2)), (np.arange(2, 4), (2, 3)), (range(2), (0, 1))):
        assert throw_sweep({"shift": [1]}, seeds=seeds).seed_values == expected
    assert throw_sweep({"shift": [1]}, seeds=np.int64(2)).seed_values == (0, 1)


@pytest.mark.parametrize(
    "axes, options, words",
    [
        ({"size": [1]}, {}, ["'size'", "Dice", "shift, scale, share"]),
        ({"shift,size": [1]}, {}, ["'size'", "shift, scale, share"]),
        ({"shift": []}, {}, ["shift", "no values", "at least one"]),
        ({"shift": [1.0, 2.0, 1.0]}, {}, ["shift", "repeats", "differ"]),
        ({"shift": [1.0, 1.0 + 1e-9]}, {}, ["shift", "repeats", "float32"]),
        ({"shift,scale": [[1, 2], [1, 2]]}, {}, ["shift,scale", "repeats"]),
        ({"shift": [1], "scale,shift": [1]}, {}, ["shift", "two axes", "once"]),
        ({"shift,shift": [1]}, {}, ["shift", "two axes"]),
        ({"shift": ["a", "b"]}, {}, ["shift", "a", "numbers"]),
        ({"shift": [None]}, {}, ["shift", "None", "numbers"]),
        ({"shift": [0.0, np.nan]}, {}, ["shift", "nan", "use finite"]),
        ({"shift": [0.0, np.inf]}, {}, ["shift", "inf", "use finite"]),
        ({"shift": [True, False]}, {}, ["shift", "True", "numbers"]),
        ({"shift": 3.0}, {}, ["shift", "shape ()", "(k,)"]),
        ({"shift": [[1, 2]]}, {}, ["shift", "(1, 2)", "(k,)"]),
        ({"shift": [1]}, {"seeds": 0}, ["seeds", "0", "at least 1"]),
        ({"shift": [1]}, {"seeds": -3}, ["seeds", "-3", "at least 1"]),
        ({"shift": [1]}, {"seeds": []}, ["seeds", "[]", "at least 1"]),
        ({"shift": [1]}, {"seeds": [1, 2, 1]}, ["seeds", "[1, 2, 1]", "different"]),
        ({"shift": [1]}, {"seeds": [0, -1]}, ["seeds", "[0, -1]", "at least 0"]),
        ({"shift": [1]}, {"seeds": [0, 1.5]}, ["seeds", "1.5", "whole"]),
        ({"shift": [1]}, {"seeds": 2.5}, ["seeds", "2.5", "whole"]),
        ({"shift": [1]}, {"lanes": 0}, ["lanes", "0", "at least 1"]),
    ],
)
def test_bad_input_is_refused_with_field_value_and_what_is_accepted(axes, options, words):
    with pytest.raises(ValueError) as error:
        throw_sweep(axes, **options)
    assert [word for word in words if word not in str(error.value)] == []
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "field, value",
    [
        *(("alpha", 1.2), ("flip1", -0.1), ("angle", 200), ("d", 3), ("d", 2**24 + 2), ("sigma1", -1), ("u", -2)),
        *(("n1", 2.5), ("m", 0), ("lr1", 0), ("init_scale", 0), ("steps2", -1), ("v2", np.nan), ("v1", np.inf)),
    ],
)
def test_values_out_of_the_range_of_the_table_are_refused_on_an_axis_and_in_the_base_point(field, value):
    for point, axes in (
        (Point(), {"sigma2": [1.0], field: [FIELDS[field].default, value]}),
        (Point(), {field: [value]}),
    ):
        with pytest.raises(ValueError, match=f"^{field} = .*{FIELDS[field].accepted}") as error:
            Sweep(simulate, point, axes, static=Static())
        assert f"{field} = {value} " in str(error.value)
    with pytest.raises(ValueError, match=f"^{field} = .*{FIELDS[field].accepted}"):
        Sweep(simulate, Point(**{field: value}), {"sigma2": [1.0]}, static=Static())


def test_axes_of_different_lengths_fit_each_other():
    assert Sweep(simulate, Point(), {"u": [0, 1, 2], "alpha": [0, 1]}, 5, static=Static()).shape == (3, 2, 5)


def test_an_unknown_output_is_refused_with_the_names_that_exist():
    sweep = throw_sweep({"shift": [1]}, outputs=("total", "profit"))
    with pytest.raises(ValueError, match=r"'profit'.*total, each, half.first"):
        sweep.results(None)


def test_results_names_shapes_and_kinds_of_what_is_kept():
    kinds = throw_sweep({"shift": [1]}).results(None)
    assert {name: kind.shape for name, kind in kinds.items()} == {"total": (), "each": (5,), "half.first": ()}
    assert list(throw_sweep({"shift": [1]}, outputs=("each",)).results(None)) == ["each"]


AXES = {
    "n1": [8, 11, 12, 37, 200],
    "n2,m": [[5, 3], [41, 3], [42, 20]],
    "u": [0.0, 2.0],
    "steps1": [0, 9, 100],
}


def whole(sweep):
    return tuple(np.arange(length) for length in sweep.shape[:-1])


def test_size_classes_cover_every_cell_exactly_once():
    sweep = Sweep(simulate, Point(), AXES, static=Static())
    seen = np.zeros(sweep.shape[:-1], int)
    classes = []
    for static, indices in sweep.size_classes(whole(sweep)):
        seen[np.ix_(*indices)] += 1
        classes.append(static)
    assert (seen == 1).all()
    assert 1 < len(set(classes)) == len(classes)


def test_the_class_of_a_point_depends_on_the_point_alone():
    sweep = Sweep(simulate, Point(), AXES, static=Static(n1=7))
    for static, indices in sweep.size_classes(whole(sweep)):
        for index in np.ndindex(*map(len, indices)):
            point = point_at(sweep, [i[k] for i, k in zip(indices, index, strict=True)])
            ((alone, _),) = Sweep(simulate, point, {}, static=Static()).size_classes(())
            assert static == alone
            assert all(getattr(static, name) >= getattr(point, name) for name in ("n1", "n2", "m", "steps1", "steps2"))


def test_a_static_without_size_classes_is_one_class():
    sweep = Sweep(throw, Dice(), {"shift": [1, 2]}, static="any")
    ((static, indices),) = sweep.size_classes(whole(sweep))
    assert static == "any"
    np.testing.assert_array_equal(indices[0], [0, 1])


@pytest.mark.parametrize(
    "options, words",
    [
        ({"point": 10**400}, ["a number"]),
        ({"dims": {"each": "die"}}, ["dims of each", "use names"]),
        ({"dims": {"each": (1,)}}, ["dims of each"]),
        ({"dims": None}, ["dims = None", "dictionary"]),
        ({"labels": {"die": 5}}, ["labels of die", "list"]),
        ({"labels": {"die": [1, None]}}, ["labels of die"]),
        ({"labels": {"seed": [1, 2]}}, ["seed", "rename"]),
        ({"derived": {"a": 1}}, ["derived a = 1", "fields, function, attributes"]),
        ({"data": 2**40}, ["data holds numbers beyond"]),
        ({"data": np.array([1e300])}, ["data holds numbers beyond"]),
        ({"data": "text"}, ["data holds str"]),
        ({"outputs": ()}, ["outputs = ()"]),
        ({"seeds": 10**9}, ["1 cells with 1,000,000,000 seeds", "GB are free"]),
        ({"axes": {"shift": np.ma.masked_array([1.0, 2.0], [0, 1])}}, ["masked"]),
    ],
)
def test_parts_of_a_near_type_are_refused_before_any_work(options, words):
    with pytest.raises(ValueError) as error:
        point = Dice(shift=options.pop("point")) if "point" in options else Dice()
        run(Sweep(throw, point, **{"axes": {"scale": [1.0]}, "seeds": 2, **options}), lambda *_: pytest.fail("worked"))
    assert [word for word in words if word not in str(error.value)] == [] and "\n" not in str(error.value)


def test_a_function_that_asks_for_a_number_is_refused_by_a_sentence():
    def asks(key, point, static, data):
        return Throw(1.0 if point.shift > 0 else 2.0, point.scale)

    with pytest.raises(ValueError, match=r"cannot be traced \(.*\): .* use jax.numpy.where"):
        run(Sweep(asks, Dice(), {"shift": [1.0]}, 1))


def test_whole_numbers_are_as_large_as_in_the_store():
    def cube(key, point, static, data):
        return Throw(point.shift**3, point.scale**3)

    ds = run(Sweep(cube, Dice(scale=3000), {"shift": [1000, 2000]}, 1))
    np.testing.assert_array_equal(ds["total"][:, 0], [1e9, 8e9])  # above the int32 range
    assert ds["each"].dtype == np.float32 and ds["each"][0, 0] == 2.7e10
