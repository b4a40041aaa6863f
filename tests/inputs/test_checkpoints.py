"""Parameters from files: those of torch and safetensors come back, and what is none is one sentence."""

import io
import json
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from pt_jax.inputs import checkpoints

RNG = np.random.default_rng(0)
KINDS = {
    "F32": np.float32,
    "F64": np.float64,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "BOOL": bool,
}
TENSORS = {f"layer{i}.{kind}": RNG.normal(size=(3, 2)).astype(dtype) for i, (kind, dtype) in enumerate(KINDS.items())}
STORAGES = {"F32": "Float", "F64": "Double", "F16": "Half", "BF16": "BFloat16", "I64": "Long", "BOOL": "Bool"}


def safetensors(tensors=TENSORS, **change):
    """Return the bytes of a file as https://huggingface.co/docs/safetensors says it is."""
    header, data = {"__metadata__": {"format": "np"}}, b""
    for name, x in tensors.items():
        entry = {
            "dtype": name.rpartition(".")[2],
            "shape": list(x.shape),
            "data_offsets": [len(data), len(data) + x.nbytes],
        }
        header[name], data = entry | change, data + x.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class Named:
    """A name, a call of one, or a storage that lies beside the pickle."""

    def __init__(self, *parts):
        self.parts = parts


class Writer(pickle._Pickler):
    """Writes pickles as torch.save does, with names that need not be there."""

    def persistent_id(self, obj):
        return obj.parts if type(obj) is Named and obj.parts[0] == "storage" else None

    def save(self, obj, save_persistent_id=True):
        if type(obj) is Named and obj.parts[0] == "name":
            return self.write(b"c" + obj.parts[1].replace(" ", "\n").encode() + b"\n")
        if type(obj) is Named and obj.parts[0] == "call":
            self.save(Named("name", obj.parts[1]))
            self.save(obj.parts[2])
            return self.write(pickle.REDUCE)
        return super().save(obj, save_persistent_id)


def tensor(key, kind, count, size=(3, 2), stride=(2, 1), offset=0, metadata=()):
    storage = Named("storage", Named("name", f"torch {STORAGES.get(kind, kind)}Storage"), key, "cpu", count)
    return Named("call", "torch._utils _rebuild_tensor_v2", (storage, offset, size, stride, False, {}, *metadata))


def npz(**arrays):
    whole = io.BytesIO()
    np.savez(whole, **arrays)
    return whole.getvalue()


def archive(tree, parts, compression=zipfile.ZIP_STORED, **more):
    """Return the bytes of a file as torch.save writes it."""
    pickled, whole = io.BytesIO(), io.BytesIO()
    Writer(pickled, 2).dump(tree)
    with zipfile.ZipFile(whole, "w", compression) as zipped:
        for name, content in {"data.pkl": pickled.getvalue(), "byteorder": b"little", **more}.items():
            zipped.writestr(f"net/{name}", content)
        for name, x in parts.items():
            zipped.writestr(f"net/data/{name}", x.tobytes())
    return whole.getvalue()


STATE = {name: tensor(str(i), name.rpartition(".")[2], 6) for i, name in enumerate(TENSORS)}
PARTS = {str(i): x for i, x in enumerate(TENSORS.values())}
F32 = TENSORS["layer0.F32"]


def torch(**change):
    """Return the bytes of a file with one tensor, of which something is not as it should be."""
    return archive({"w": tensor("0", **{"kind": "F32", "count": 6} | change)}, {"0": F32})


@pytest.mark.parametrize("content", [safetensors(), archive(STATE, PARTS)], ids=["safetensors", "torch"])
def test_tensors_come_back(content, tmp_path):
    (tmp_path / "net").write_bytes(content)
    found = checkpoints.read(tmp_path / "net")
    assert list(found) == list(TENSORS)
    for name, x in TENSORS.items():
        assert found[name].dtype == x.dtype and not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], x)


def test_views_parameters_and_dictionaries_of_torch(tmp_path):
    turned = tensor("0", "F32", 6, (2, 2), (1, 2), 2)  # the transposed rows 1 and 2 of (3, 2)
    parameter = Named("call", "torch._utils _rebuild_parameter", (tensor("0", "F32", 6), True, {}))
    empty = tensor("0", "F32", 6, (0, 4), (4, 1))
    tree = {"epoch": 3, "state_dict": {"a": turned, "b": parameter, "c": empty}, "optimizer": {"state": {0: turned}}}
    (tmp_path / "net.pt").write_bytes(archive(tree, {"0": F32}))
    found = checkpoints.read(str(tmp_path / "net.pt"))
    assert set(found) == {"state_dict"} and found["state_dict"]["c"].shape == (0, 4)
    np.testing.assert_array_equal(found["state_dict"]["a"], F32[1:].T)
    np.testing.assert_array_equal(found["state_dict"]["b"], F32)


def test_torch_itself_if_it_is_there(tmp_path):
    library = pytest.importorskip("torch")
    net = library.nn.Sequential(library.nn.Conv2d(1, 2, 3), library.nn.BatchNorm2d(2), library.nn.Linear(2, 2))
    state = net.state_dict() | {"half": library.ones(2, dtype=library.bfloat16), "turned": library.rand(3, 4).T}
    library.save(state, tmp_path / "a.pt")
    library.save({"epoch": 1, "model": dict(net.named_parameters())}, tmp_path / "b.pt")
    found, inner = (checkpoints.read(tmp_path / name) for name in ("a.pt", "b.pt"))
    assert list(found) == list(state)
    for name, x in state.items():
        np.testing.assert_array_equal(found[name].astype(float), x.double().numpy())
    np.testing.assert_array_equal(inner["model"]["2.weight"], state["2.weight"].numpy())


LOOP = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."  # a dictionary in itself
DOUBLED = b"\x80\x02}q\x00" + b"}q\x01(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00uq\x00" * 60 + b"."
LARGE = tensor("0", "F64", 2**15, (2**15,), (1,))
SHARED = {"w": LARGE}
for _ in range(12):
    SHARED = {"a": SHARED, "b": SHARED}
REFUSED = {
    "nothing": (b"", "its header states 0 bytes"),
    "a header of 8 exabytes": (struct.pack("<Q", 2**63) + b"{}", "its header states"),
    "a header that is no JSON": (struct.pack("<Q", 2) + b"{}"[:1] + b"x", "Expecting"),
    "a header of lists": (struct.pack("<Q", 10**5) + b"[" * 10**5, "recursion"),
    "no tensor": (safetensors({}), "it holds no tensor"),
    "a place past the end": (safetensors(data_offsets=[0, 10**9]), "data_offsets"),
    "a place before the start": (safetensors(data_offsets=[-8, 16]), "data_offsets"),
    "a shape that does not fit": (safetensors(shape=[2**40]), "reshape"),
    "a negative shape": (safetensors(shape=[-1]), "has the shape"),
    "an unknown dtype": (safetensors(dtype="F8_E5M2"), "F8_E5M2"),
    "a call": (
        archive({"w": Named("call", "os system", ("true",))}, {}),
        "names os.system.*nothing of it was executed",
    ),
    "a module": (archive(Named("name", "torch.nn.modules.linear Linear"), {}), "names torch.nn.modules.linear.Linear"),
    "a list": (archive([1, 2], {}), "holds a list in place of a state_dict"),
    "no tensor of torch": (archive({"epoch": 3}, {}), "it holds no tensor"),
    "an npz file": (npz(w=F32), "it holds data.pkl 0 times"),
    "a compressed part": (archive(STATE, PARTS, zipfile.ZIP_DEFLATED), "is compressed"),
    "big-endian numbers": (archive(STATE, PARTS, byteorder=b"big"), "big-endian"),
    "a storage that is not there": (archive(STATE, {}), "no item named"),
    "another kind": (torch(kind="Quantized"), "names torch.QuantizedStorage"),
    "a read past the end": (torch(offset=1), r"shape \(3, 2\) in a storage of 6"),
    "a large stride": (torch(stride=(2**40, 1)), "in a storage of 6"),
    "a view of any size": (torch(size=(2**40, 1), stride=(0, 0)), "in a storage of 6"),
    "a negative stride": (torch(stride=(-1, 1)), "without its shape"),
    "a shape of text": (torch(size=("a", 2)), "without its shape"),
    "a dictionary in itself": (archive({}, {}, **{"data.pkl": LOOP}), "recursion"),
    "doubled 60 times": (archive({}, {}, **{"data.pkl": DOUBLED}), "it holds no tensor"),
    "numbers of 600 digits": (torch(size=(2**2000,) * 4000, stride=(1,) * 4000), "without its shape"),
    "one number too large": (torch(size=(2**63, 1)), "without its shape"),
    "a negated tensor": (torch(metadata=[{"neg": True}]), "such as a negated one"),
    "keys of one hash": (archive({"w": STATE["layer0.F32"], "state": {2**61 - 1: 0}}, PARTS), "damaged"),
    "one tensor, many names": (
        archive({str(i): LARGE for i in range(5)}, {"0": np.zeros(2**15)}),
        "each counted where",
    ),
    "tensors in one place": (safetensors(data_offsets=[0, 24], shape=[24], dtype="U8"), "its tensors overlap"),
    "a shared dictionary": (archive({"a": SHARED, "b": SHARED}, {"0": np.zeros(2**15)}), "each counted where"),
    "damage": (archive(STATE, PARTS)[:-40], "not a zip file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_none_of_these_is_one_sentence(name, tmp_path):
    content, words = REFUSED[name]
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ValueError, match=rf"net is not accepted: use a safetensors file.*\(.*({words})") as error:
        checkpoints.read(tmp_path / "net")
    assert str(error.value).isprintable() and len(str(error.value)) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    with pytest.raises(ValueError, match="is not there: use a safetensors file"):
        checkpoints.read(tmp_path / "net")
    with pytest.raises(ValueError, match="it is no file"):
        checkpoints.read(tmp_path)


def test_damaged_files_are_read_or_refused(tmp_path):
    wholes = [safetensors(), archive(STATE, PARTS)]
    rng, read = np.random.default_rng(0), 0
    for i in range(400):
        content = bytearray(wholes[i % 2])
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        (tmp_path / "net").write_bytes(content)
        try:
            read += len(checkpoints.read(tmp_path / "net")) > 0
        except ValueError as error:
            assert str(error).isprintable()
    assert read > 40  # numbers or names are changed
