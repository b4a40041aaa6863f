"""Pickles from strangers: plain values are read, and of the rest nothing is made, called or taken."""

import pickle
import re
import struct

import numpy as np
import pytest

from pt_jax.vision import pickled
from tests.strangers import outcome

MANY = 200_000  # steps of a pickle that asks for memory
MEMORY = 250  # MiB that reading all pickles of this file may take: 200 bytes a step would be 40, the largest has 30 MB


def text(value):
    """The opcode that pushes text."""
    return b"X" + struct.pack("<I", len(value)) + value


U1 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
DOUBLED = b")" + b"q\x00h\x00\x86" * 60  # each tuple holds the one before it twice
FROM_BUFFER = b"cnumpy.core.numeric\n_frombuffer\n"


def array(shape=b"K\x04", kind=U1):
    """The opcodes of an array of four bytes, as Python 2 wrote them, with a shape and a dtype of one's own."""
    return EMPTY + b"(K\x01" + shape + b"\x85" + kind + b"\x89U\x04abcdtb"


def as_data(opcodes, label=b"K\x00"):
    """A batch that has these opcodes as its data, and as its only label."""
    return b"\x80\x02}(U\x04data" + opcodes + b"U\x0bfine_labels](" + label + b"eu."


DAMAGED, NAMES, OPCODE, DESCRIBES = (
    "not a whole pickle",
    "names .*nothing of it was executed",
    "uses the opcode",
    "describe",
)

HOSTILE = {
    # Names and calls
    "a call": (b"cos\nsystem\n(S'true'\ntR.", r"names os.system"),
    "a call in protocol 4": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", r"names posix.system"),
    "a name with dots": (b"\x80\x04\x8c\x05numpy\x8c\x0bcore.os.sys\x93.", NAMES),
    "a file that is written": (b"cio\nopen\n(U\x04madeU\x01wtR.", "names io.open"),
    "NumPy's reader of files": (b"cnumpy\nfromfile\nU\x0b/etc/passwd\x85R.", "names numpy.fromfile"),
    "NumPy's scalars": (as_data(b"cnumpy.core.multiarray\nscalar\n" + U1 + b"U\x01a\x86R"), NAMES),
    "the reader itself": (b"cpt_jax.vision.cifar\nread\nU\x01.\x85R.", NAMES),
    "a name on many lines": (b"\x80\x04" + text(b"a\nb\x1b[31m") + text(b"c") + b"\x93.", r"names a\\nb\\x1b\[31m.c"),
    "an inner class": (b"\x80\x02cnumpy\nndarray\n)\x81.", "opcode NEWOBJ"),
    "attributes of a name": (as_data(b"cnumpy\ndtype\n}U\x08__call__K\x01sb"), DESCRIBES),
    "attributes of a dictionary": (b"\x80\x02}}U\x01aK\x01sb.", DAMAGED),
    "another encoding": (as_data(b"c_codecs\nencode\n" + text(b"abc") + text(b"zlib") + b"\x86R"), DESCRIBES),
    "a call of a call": (as_data(b"cnumpy\ndtype\n)R)R"), DAMAGED),
    "a call of a list": (as_data(b"])R"), DAMAGED),
    # Opcodes that plain values do not need
    "an extension": (b"\x80\x02\x82\x01.", "opcode EXT1"),
    "a persistent name": (b"Pname\n.", "opcode PERSID"),
    "a persistent object": (b"\x80\x02U\x01aQ.", "opcode BINPERSID"),
    "an instance": (b"(ios\nsystem\n.", "opcode INST"),
    "an object": (b"(cnumpy\ndtype\no.", "opcode OBJ"),
    "a buffer from outside": (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
    "a long number": (b"\x80\x02\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6 + b".", "opcode LONG4"),
    # Arrays that NumPy's own constructors would make
    "a buffer that is freed": (
        b"\x80\x02}(U\x01a" + array() + b"q\x00U\x04data" + FROM_BUFFER + b"(h\x00" + U1 + b"K\x04\x85U\x01CtR"
        b"U\x01bh\x00(K\x01K\x01\x85" + U1 + b"\x89U\x01atbu.",
        "without its bytes",
    ),
    "a view of an array": (as_data(FROM_BUFFER + b"(" + array() + U1 + b"K\x04\x85U\x01CtR"), "without its bytes"),
    "a read past the end": (as_data(array(b"J\x00\x00\x00\x7f")), "not fit"),
    "a huge array": (as_data(array(b"\x8a\x08" + b"\xff" * 7 + b"\x7f")), "not fit"),
    "a negative shape": (as_data(array(b"J\xfc\xff\xff\xff")), "its shape"),
    "a shape of arrays": (as_data(array(array())), "its shape"),
    "an array of objects": (as_data(array(kind=U1.replace(b"U\x02u1", b"U\x01O"))), "not of whole numbers"),
    "a dtype with fields": (as_data(array(kind=U1.replace(b"NNN", b"NU\x01a}"))), "not of whole numbers"),
    "a dtype of another size": (
        as_data(array(kind=U1.replace(b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f"))),
        "not of whole",
    ),
    "an array without a state": (as_data(EMPTY), DESCRIBES),
    # Memory
    "an index of 4 billion": (b"\x80\x02]r\xff\xff\xff\xff.", "holds a list"),
    "an index that is not there": (b"\x80\x02j\xff\xff\xff\xff.", DAMAGED),
    "a length of 4 exabytes": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.", DAMAGED),
    "a frame of 8 exabytes": (b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.", "holds a NoneType"),
    "doubled 60 times": (b"\x80\x02" + DOUBLED + b".", "holds a tuple"),
    "a doubled key": (b"\x80\x02}" + DOUBLED + b"Ns.", DAMAGED),
    "doubled labels": (as_data(array(), DOUBLED), "no list of whole"),
    "labels in themselves": (as_data(array(), b"]q\x00h\x00a"), "no list of whole"),
    "huge labels": (as_data(array(), b"\x8a\xff" + b"\x7f" * 255), "no list of whole"),
    "text that is encoded again": (
        b"\x80\x02c_codecs\nencode\nq\x00"
        + text(b"a" * 10**7)
        + text(b"latin1")
        + b"\x86q\x01]("
        + b"h\x00h\x01R" * 1000
        + b"e.",
        DAMAGED,
    ),
    "a long key again": (
        b"\x80\x02}T" + struct.pack("<I", 10**7) + b"a" * 10**7 + b"q\x00N(" + b"h\x00N" * 1000 + b"us.",
        DAMAGED,
    ),
    "a long key in a dictionary": (
        b"\x80\x02}(T" + struct.pack("<I", 10**7) + b"a" * 10**7 + b"q\x00N" + b"h\x00N" * 1000 + b"u.",
        "holds a NoneType",
    ),
    "deep tuples": (b"\x80\x02)" + b"\x85" * MANY + b".", "holds a tuple"),
    "deep lists": (b"\x80\x02" + b"]" * (MANY // 2) + b"a" * (MANY // 2 - 1) + b".", "holds a list"),
    "many dictionaries": (b"\x80\x02(" + b"}" * MANY + b"t.", "holds a tuple"),
    "many memos": (b"\x80\x02]" + b"".join(b"r" + struct.pack("<I", i) for i in range(MANY)) + b".", "holds a list"),
    "too many steps": (b"\x80\x02" + b"(" * (pickled.STEPS + 1) + b".", "takes more than 1,000,000 steps"),
    # Damage
    "nothing": (b"", DAMAGED),
    "no end": (b"\x80\x02}", DAMAGED),
    "an empty stack": (b".", DAMAGED),
    "an unknown opcode": (b"\xff.", DAMAGED),
    "a mark that is not there": (b"\x80\x02]e.", DAMAGED),
    "half a pair": (b"\x80\x02}(U\x01au.", DAMAGED),
    "text that is none": (b"\x80\x02" + text(b"\xff\xfe") + b".", DAMAGED),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What is said of each hostile batch, as the training batch of a CIFAR-100 of which the rest is in order."""
    folder = tmp_path_factory.mktemp("hostile")
    good = pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [0]}, 2)
    for i, (content, _) in enumerate(HOSTILE.values()):
        (folder / f"{i:02}").mkdir()
        (folder / f"{i:02}" / "train").write_bytes(content)
        (folder / f"{i:02}" / "test").write_bytes(good)
    return outcome("pt_jax.vision.cifar", "read", folder)


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=list(HOSTILE))
def test_a_hostile_pickle_is_one_sentence(read, number):
    said, (_, words) = read.said[f"{number:02}"], list(HOSTILE.values())[number]
    assert re.search(rf": train .*{words}", said) and said.isprintable() and len(said) < 400, said


def test_hostile_pickles_do_nothing_and_take_little_memory(read):
    assert not read.acts and read.memory < MEMORY


def test_plain_values_come_back():
    value = {
        "a": [1, -2, 2**40, 1.5, None, True, False, "é", b"\xff", bytearray(b"x"), (), (1,), (1, 2, 3, 4), {"b": []}]
    }
    for protocol in (2, 3, 4, 5):
        # Before protocol 5 a bytearray is a call.
        kept = [x for x in value["a"] if protocol == 5 or type(x) is not bytearray]
        assert pickled.load(pickle.dumps({"a": kept}, protocol)) == {"a": kept}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["u1", "<i8", ">i4", "u2"])
@pytest.mark.parametrize("order", ["C", "F", "reversed"])
def test_arrays_come_back(protocol, kind, order):
    values = np.arange(12).reshape(3, 4).astype(kind)
    values = values[::-1] if order == "reversed" else np.asarray(values, order=order)
    first, again = pickled.load(pickle.dumps([values, values], protocol))
    for record in (first, again):
        np.testing.assert_array_equal(pickled.array(record), values)
        assert pickled.array(record).dtype == values.dtype


def test_damaged_batches_are_read_or_refused_in_one_sentence():
    rng, labels = np.random.default_rng(0), np.arange(3)
    batches = [
        pickle.dumps({b"data": np.ones((3, 4), kind), "labels": labels}, p) for p in (2, 4, 5) for kind in ("u1", ">i2")
    ]
    read = 0
    for i in range(3000):
        content = bytearray(batches[i % len(batches)])
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256) if i % 2 else content[place] ^ (1 << rng.integers(0, 8))
        try:
            found = pickled.load(bytes(content))
            assert pickled.array(found[b"data"]).size == 12
            read += 1
        except (KeyError, TypeError):
            assert not isinstance(found, dict) or b"data" not in found
        except ValueError as error:
            assert str(error).endswith(".") and str(error).isprintable()
    assert read > 100  # a number is changed, or a name that is not looked at
