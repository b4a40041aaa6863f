"""Files from strangers: what a record may name, how large it may be, and that nothing of it is run when it is bad."""

import json
import sys
import tracemalloc

import pytest

from pt_jax.signal_noise.derived import DERIVED
from pt_jax.sweep import record
from pt_jax.sweep.record import restore

AXES = {"axes": {"u": [0.0, 1.0]}}


@pytest.mark.parametrize("role", ["function", "point_type", "static_type"])
@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "subprocess.Popen", "shutil.rmtree", "builtins.exec", "antigravity.geohash", "jax.jit"),
        *("pt_jax.app.cli.sys", "pt_jax.app.cli.sys.exit", "pt_jax.sweep.store.shutil.rmtree"),
        *("pt_jax.sweep.store.Path", "pt_jax.app.study.main", "pt_jax.sweep.run.run", "pt_jax.report.plot.save"),
        *("pt_jax.sweep.provenance.subprocess.run", "pt_jax.sweep.grid.Sweep", "pt_jax.sweep.grid.dataclass"),
        *("pt_jax.app.study.Flags", "pt_jax.app.ending.Output", "pt_jax", "pt_jax.", ".pt_jax", "pt_jax..cli.main"),
        *("pt_jax.no.such", "pt_jax.app.study.__loader__", "pt_jax_evil.f", "../pt_jax.f", "pt_jax.a\0b"),
        *("pt_jax.\x1b[2J", "", "evil.f", "pt_jax." + "a." * 5000 + "f"),
    ],
)
def test_what_pt_jax_does_not_offer_is_neither_imported_nor_called(role, name, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    if name == "":
        assert restore({**AXES, role: name} | ({"point_type": "pt_jax.Point"} if role == "static_type" else {}))
        return
    with pytest.raises(ValueError, match=f"^{role} = .* is not accepted: ") as error:
        restore({**AXES, role: name})
    assert len(str(error.value)) < 300 and str(error.value).isprintable()
    new = {module.split(".")[0] for module in set(sys.modules) - before}
    assert not new & {"evil", "antigravity", "subprocess", "shutil"}


def test_a_module_that_is_allowed_is_imported(tmp_path, monkeypatch):
    code = """
from dataclasses import dataclass
from os import system
from typing import NamedTuple
class Place(NamedTuple):
    x: float = 0.0
@dataclass(frozen=True)
class How:
    kind: str = "a"
class Result(NamedTuple):
    gain: float
def world(k, p, s, d):
    return Result(p.x)
"""
    (tmp_path / "mine_alone.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"function": "mine_alone.world", "point_type": "mine_alone.Place", "static_type": "mine_alone.How"}
    made = {**names, "axes": {"x": [0, 1]}, "static": {"kind": "b"}}
    for allow in ((), ("mine",), ("mine_alone.world",)):
        with pytest.raises(ValueError, match="allow its module with --allow"):
            restore(made, allow)
    assert "mine_alone" not in sys.modules
    sweep = restore(made, ["other", "mine_alone"])
    assert sweep.static.kind == "b" and record.traced(sweep) == ["gain"]
    for role, name in {"function": "system", "point_type": "How", "static_type": "Place"}.items():
        with pytest.raises(ValueError, match=f"{role} = 'mine_alone.{name}' is not accepted: use "):
            restore(made | {role: f"mine_alone.{name}"}, ["mine_alone"])


WRONG = {
    "seeds": [0, -1, 1.5, 1e9, 10**9, 10**400, "16", True, None, {}, [], [-1], [2**31], [0.5], [[0]], ["0"]],
    "axes": [
        *(None, "u", 5, [], {"u": None}, {"u": 1}, {"u": "a"}, {"u": ["1"]}, {"u": [None]}, {"u": [True]}, {"u": {}}),
        *({"u": [float("nan")]}, {"u": [10**400]}, {"u": [[[1]]]}, {"u": []}, {"u,u": [1]}, {"w": [1]}, {"": [1]}),
        *([1], [{"w": 1}], [{"u": "1"}], [{"u": []}], [{"u": float("inf")}]),
    ],
    "point": [None, [], 5, "u", {"w": 1}, {"u": "1"}, {"u": None}, {"u": float("nan")}, {"u": 10**400}, {"u": [1]}],
    "static": [
        *("x", [], 5, {"speed": 1}, {"m": "4"}, {"m": float("inf")}, {"record": "abc"}, {"engine": {}}, {"m": None}),
        *({"optimizer": "<f>"}, {"record": [[1]]}, {"bias": 1}, {"n_directions": 3.5}, {"engine": ["span"]}),
    ],
    "outputs": ["gain", [1], {}, 5, [["gain"]]],
    "lanes": [0, -1, "4", 1.5, True, 10**12, [4]],
    "dims": [None, [], "x", {"gain": None}, {"gain": "x"}, {"gain": [1]}, {"gain": ["a", "b"]}],
    "labels": [None, [], {"u": None}, {"u": "ab"}, {"x": [{}]}, {"x": ["\ud800"]}, {"\ud800": ["a"]}],
    "derived": [None, 5, "snr", {"snr": 1}, [1], ["nothing"]],
    "data": ["abc", 5, []],
    "function": [None, 5, [], {}],
    "sedes": [1],
    "\x1b[2J": [1],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in WRONG.items() for value in values], ids=str)
def test_a_value_that_is_not_of_its_kind_is_one_sentence(name, value):
    with pytest.raises(ValueError) as error:
        record.traced(restore({**AXES, name: value}, (), DERIVED))
    assert len(str(error.value)) < 700 and str(error.value).isprintable() and ": " in str(error.value)


def test_a_deep_value_is_refused_in_short():
    deep = []
    for _ in range(800):
        deep = [deep]
    for name in ("seeds", "static", "labels", "outputs"):
        with pytest.raises(ValueError, match=f"{name} = .* is not accepted") as error:
            restore({**AXES, name: {"u": deep} if name in ("static", "labels") else deep})
        assert len(str(error.value)) < 300


FILES = {
    "deep.json": "[" * 100_000,
    "deep_object.json": '{"axes":' * 100_000,
    "deep.toml": "axes = " + "[" * 100_000,
    "dots.toml": ".".join("a" * 100_000) + " = 1",
    "large.json": '{"axes": {"u": [' + "0," * 2**22 + "0]}}",
    "large.toml": "# " + "x" * 2**23,
    "digits.json": '{"axes": {"u": [1' + "0" * 5000 + "]}}",
    "bytes.json": b"\xff\xfe\x00",
    "nul.json": b"\0" * 1000,
    "bytes.toml": b"\xff = 1",
    "twice.json": '{"axes": {"u": [0, 1]}, "axes": {"u": [2, 3]}}',
    "twice_below.json": '{"axes": {"u": [0, 1], "u": [2, 3]}}',
    "text.json": '"axes"',
    "none.json": "null",
    "empty.json": "",
    "date.toml": "axes = 1979-05-27",
}
BAD_PARTS = ["../x", "/x", "", ".", "..", "a/b", "a\0b", "a\nb", "x" * 300, "\x1b[2J", "~", " a", "a\\b", "-x"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_record_is_one_sentence_and_little_memory(name, tmp_path):
    path, text = tmp_path / name, FILES[name]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    tracemalloc.start()
    with pytest.raises(ValueError) as error:
        for part in record.read(path).values():
            restore(part)
    assert tracemalloc.get_traced_memory()[1] < 2**29
    tracemalloc.stop()
    assert len(str(error.value)) < 500 and str(error.value).isprintable()


@pytest.mark.parametrize("name", BAD_PARTS)
def test_the_name_of_a_part_is_one_folder(name, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"good": AXES, name: AXES}))
    with pytest.raises(ValueError, match=r"^The part .* is not accepted: use letters, digits") as error:
        record.read(tmp_path / "a.json")
    assert str(error.value).isprintable() and len(str(error.value)) < 300


def test_names_of_parts_of_every_figure_are_accepted(tmp_path):
    names = ("simulated-0", "projection dropped, the same classes", "n1-100-n2-0-steps-00", "größe", "alpha=0.5")
    (tmp_path / "a.json").write_text(json.dumps(dict.fromkeys(names, AXES)))
    assert list(record.read(tmp_path / "a.json")) == list(names)
