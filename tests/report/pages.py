"""What a page of the explorer holds, read without a browser."""

import base64
import json
import re
import zlib

import numpy as np

KINDS = {"mean": None, "half": None, "seeds": "<u4", "state": "u1"}  # None: those of `floats`


def part(text, name):
    """The text of one part of a page."""
    (found,) = re.findall(rf'id="{name}">([^<]*)</script>', text)
    return found


def read(path):
    """The description in a page, with its arrays in the places of their offsets."""
    text = path.read_text(encoding="utf-8")
    return arrays(json.loads(part(text, "about")), part(text, "numbers"))


def arrays(about, numbers):
    """The description with its arrays, which it is given with."""
    raw = zlib.decompress(base64.b64decode(numbers))
    for one in [*about["results"], *about["lines"]]:
        shape = [len(about["axes"][name]["at"]) for name in one["axes"]]
        for name in KINDS.keys() & one.keys():
            kind = KINDS[name] or f"<{one['floats']}"
            one[name] = np.frombuffer(raw, kind, int(np.prod(shape)), one[name]).reshape(shape)
    return about


def result(about, name):
    (found,) = (one for one in about["results"] if one["name"] == name)
    return found
