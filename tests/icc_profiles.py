"""ICC profiles for the tests, made from the numbers of their standards."""

import itertools
import struct

# Colorants of Adobe RGB (1998) and Display P3, adapted to D50.
_ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
_D50 = (0.9642, 1.0, 0.82491)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def adobe_rgb():
    return _rgb(_ADOBE, _curve(563 / 256))


def display_p3():
    return _rgb(_P3, _curve(*_SRGB_CURVE))


def grey(gamma):
    return _profile(b"GRAY", b"XYZ ", {"wtpt": _xyz(_D50), "kTRC": _curve(gamma)})


def cmyk(cyan):
    """Of inks that are all black but cyan, whose L*, a*, b* is given."""
    identity = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    corners = itertools.product([0, 1], repeat=4)
    labs = [
        (100, 0, 0) if not any(at) else cyan if at == (1, 0, 0, 0) else (0, 0, 0) for at in corners
    ]
    colours = b"".join(bytes([round(x * 2.55), y + 128, z + 128]) for x, y, z in labs)
    table += 4 * identity + colours + 3 * identity
    return _profile(b"CMYK", b"Lab ", {"wtpt": _xyz(_D50), "A2B0": table}, kind=b"prtr")


def _rgb(colorants, curve):
    tags = {"wtpt": _xyz(_D50)}
    for name, colorant in zip("rgb", colorants, strict=True):
        tags[f"{name}XYZ"], tags[f"{name}TRC"] = _xyz(colorant), curve
    return _profile(b"RGB ", b"XYZ ", tags)


def _fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values):
    return b"XYZ " + bytes(4) + _fixed(*values)


def _curve(*parameters):
    """A power, or sRGB's: (a x + b)^g above d, c x below."""
    kind = {1: 0, 5: 3}[len(parameters)]
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*parameters)


def _profile(space, connection, tags, kind=b"mntr"):
    place = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name.encode() + struct.pack(">II", place + len(content), len(data))
        content += data
    header = struct.pack(
        ">I4xI4s4s4s12x4s", place + len(content), 0x04000000, kind, space, connection, b"acsp"
    )
    header = (header + bytes(28))[:68] + _fixed(*_D50)
    return header + bytes(128 - len(header)) + table + content
