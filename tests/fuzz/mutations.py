"""Damage to files: of any bytes, and of the structure that their format has."""

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

import h5py
import numpy as np

EXTREMES = (
    *(0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 1000003),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1),
)
WORDS = (
    *("", "0", "-1", "1e999", "-1e308", "1e-400", "nan", "inf", "9" * 30, "9" * 5000, "0x10", "1,2", "1 2 3", "=", "#"),
    *("null", "true", "[]", "{}", "[[[[", "&a", "*a", "!!int", "a" * 3000, "../../x", "%s%n", "µm", "😀", "\x00"),
    *('"', "'", "\t", "\r\n"),
)
SHAPES = (
    *(b"()", b"(0,)", b"(-1,)", b"(%d,)" % 10**12, b"(4294967296, 4294967296)", b"(3, 2)", b"[3]", b"(2.5,)"),
    b"(" * 300,
)
TYPES = (
    *(b"|O", b"<f8", b"<f2", b">i4", b"|b1", b"<U5", b"|S3", b"<c16", b"<M8[ns]", b"|V7", b"<U1000000000", b"x"),
    *(b"<u8", b"<f16"),
)
NAMES = ("", "../x.npy", "a" * 300, "é.npy", "image/x.png", "x/")
_TOKEN = re.compile(rb"[A-Za-z_]+|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|[^\sA-Za-z0-9_]")


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damage a file once to three times.

    Args:
        data: A sound file.
        other: Another of the same format, to splice with.
        rng: Source of every choice.
    """
    count, structured = rng.choice((1, 1, 1, 2, 3)), _structured(data)
    if structured is not None and rng.random() < 0.55:  # First: its structure can be seen while it is sound.
        try:
            data, count = structured(data, rng), rng.choice((0, 0, 0, 1))
        except Exception:  # The format's own library does not write such a thing.
            count = 1
    for _ in range(count):
        data = rng.choice(GENERIC)(data, other, rng)
    return data


def _structured(data: bytes) -> Callable[[bytes, random.Random], bytes] | None:
    """Return the damage of structure for a file's format; None for one that has none."""
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[512:520] == b"\x89HDF\r\n\x1a\n":
        return damage_hdf5
    if data[:4] == b"PK\x03\x04":
        return damage_archive
    if data[:6] == b"\x93NUMPY":
        return damage_numpy
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return damage_tiff
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return damage_png
    if data[:10] == b"MATLAB 5.0":
        return damage_matlab
    return damage_text if data[:200].isascii() and b"\0" not in data[:200] else None


# Damage of any bytes


def flip_bytes(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Change a few bytes, sometimes of the header only."""
    changed = bytearray(data)
    limit = len(changed) if rng.random() < 0.5 else min(len(changed), 1024)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if limit:
            changed[rng.randrange(limit)] = rng.choice((0, 255, rng.randrange(256)))
    return bytes(changed)


def zero_sector(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Set a sector of the disk to zeros, or to noise."""
    size = rng.choice((64, 512, 1024, 4096))
    start = size * rng.randrange(max(len(data) // size, 1))
    fill = bytes(size) if rng.random() < 0.8 else rng.randbytes(size)
    return data[:start] + fill[: len(data) - start] + data[start + size :]


def truncate(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Cut the end off, or let it be zeros as a half-copied file has."""
    length = rng.randrange(len(data) + 1)
    if rng.random() < 0.2:
        length = max(len(data) - rng.randrange(1, 16), 0)
    return data[:length] + (bytes(len(data) - length) if rng.random() < 0.3 else b"")


def splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Join the beginning of one file and the end of another."""
    cut = rng.randrange(len(data) + 1)
    return data[:cut] + other[min(cut, len(other)) :]


def repeat_block(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Repeat, move or remove a block."""
    size = rng.choice((1, 4, 16, 64, 512))
    start, to = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    block = data[start : start + size]
    if rng.random() < 0.3:
        return data[:start] + data[start + size :]
    if rng.random() < 0.3:
        return data[:to] + block + data[to + size :]
    return data[:to] + block * rng.choice((1, 2, 50)) + data[to:]


def set_integer(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Set an integer of the file to an extreme, mostly at an even place of the header."""
    size = rng.choice((1, 2, 4, 8))
    limit = len(data) if rng.random() < 0.4 else min(len(data), 2048)
    start = size * rng.randrange(max(limit // size, 1))
    value = rng.choice(EXTREMES) % (1 << 8 * size)
    return data[:start] + value.to_bytes(size, rng.choice(("little", "big"))) + data[start + size :]


GENERIC = (flip_bytes, flip_bytes, zero_sector, truncate, splice, repeat_block, set_integer, set_integer)


# Damage of structure


def damage_text(data: bytes, rng: random.Random) -> bytes:
    """Replace a word, or repeat, swap or remove lines."""
    choice = rng.random()
    if choice < 0.6:
        tokens = list(_TOKEN.finditer(data))
        if not tokens:
            return data
        token = rng.choice(tokens)
        word = rng.choice(WORDS) if rng.random() < 0.7 else rng.choice(tokens)[0].decode("utf-8", "replace")
        return data[: token.start()] + word.encode() + data[token.end() :]
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data * 2
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    if choice < 0.7:
        del lines[first]
    elif choice < 0.8:
        lines[first], lines[second] = lines[second], lines[first]
    elif choice < 0.9:
        lines.insert(first, lines[second] * rng.choice((1, 2, 200)))
    else:
        lines[first] = rng.choice((b"  " * rng.randrange(100), b"\t", b"- ", b"? ", b"[" * 2000)) + lines[first]
    return b"".join(lines)


def damage_numpy(data: bytes, rng: random.Random) -> bytes:
    """Change the header of a NumPy file, or its numbers."""
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length]
    shape, kind = rng.choice(SHAPES), rng.choice(TYPES)
    choice = rng.random()
    if choice < 0.4:
        header = re.sub(rb"'shape': [^)]*\)", b"'shape': " + shape, header)
    elif choice < 0.7:
        header = re.sub(rb"'descr': '[^']*'", b"'descr': '" + kind + b"'", header)
    elif choice < 0.8:
        header = header.replace(b"False", rng.choice((b"True", b"0", b"None", b"foo()")))
    elif choice < 0.9:
        return data[: 10 + length] + _numbers(data[10 + length :], rng)
    else:
        header = damage_text(header, rng)
    return data[:8] + struct.pack("<H", len(header) % 65536) + header + data[10 + length :]


def _numbers(data: bytes, rng: random.Random) -> bytes:
    """Set a few numbers of an array to NaN, infinity and the like."""
    special = rng.choice((np.nan, np.inf, -np.inf, -1.0, 1e308, 1e-320))
    fits = abs(special) < 1e38 or not np.isfinite(special)
    packed = struct.pack(rng.choice(("<d", "<f", ">d")) if fits else "<d", special)
    start = len(packed) * rng.randrange(max(len(data) // len(packed), 1))
    return data[:start] + packed + data[start + len(packed) :]


def damage_archive(data: bytes, rng: random.Random) -> bytes:
    """Damage a member of a zip archive and pack it anew, or its tables."""
    if rng.random() < 0.25:
        marks = [m.start() for m in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", data)]
        start = rng.choice(marks) + 2 * rng.randrange(2, 22)
        size = rng.choice((2, 4))
        value = rng.choice((*EXTREMES, 14, 99, 8, 12)) % (1 << 8 * size)
        return data[:start] + value.to_bytes(size, "little") + data[start + size :]
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = [(name, source.read(name)) for name in source.namelist()]
    number = rng.randrange(len(members))
    name, content = members[number]
    choice = rng.random()
    if choice < 0.75:
        members[number] = (name, mutate(content, content, rng))
    elif choice < 0.8:
        del members[number]
    elif choice < 0.85:
        members.insert(0, (name, content))
    elif choice < 0.9:
        members[number] = (rng.choice((*NAMES, name.upper())), content)
    else:
        members[number], members[0] = (name, members[0][1]), (members[0][0], content)
    return pack_archive(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))


def pack_archive(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make a zip archive, the same at any time of the day."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as target:
        for name, content in members:
            target.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def damage_tiff(data: bytes, rng: random.Random) -> bytes:
    """Change an entry of a directory of a TIFF, or the chain of directories."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset_format, entry_format, entry_size = ("Q", "HHQ", 20) if big else ("I", "HHI", 12)
    places, changed = [], bytearray(data)
    position = struct.unpack_from(order + offset_format, data, 8 if big else 4)[0]
    while position and position < len(data) - 8 and len(places) < 50:
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, position)
        first = position + (8 if big else 2)
        if count > 200:
            break
        places.append((position, first, count))
        position = struct.unpack_from(order + offset_format, data, first + count * entry_size)[0]
    start, first, count = rng.choice(places)
    if rng.random() < 0.2:  # The next directory.
        value = rng.choice((start, places[0][0], 0, 8, len(data) - 4, rng.randrange(len(data))))
        struct.pack_into(order + offset_format, changed, first + count * entry_size, value)
        return bytes(changed)
    entry = first + entry_size * rng.randrange(count)
    tag, kind, number = struct.unpack_from(order + entry_format, data, entry)
    choice = rng.random()
    extreme = rng.choice(EXTREMES)
    if choice < 0.15:
        tag = rng.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 317, 322, 339, 324, 270, extreme % 65536))
    elif choice < 0.3:
        kind = rng.choice((*range(19), 65535))
    elif choice < 0.5:
        number = extreme % (1 << (64 if big else 32))
    struct.pack_into(order + entry_format, changed, entry, tag, kind, number)
    if choice >= 0.5:
        width = rng.choice((2, 8 if big else 4))
        value = rng.choice((extreme % (1 << 8 * width), rng.randrange(256), rng.randrange(len(data))))
        place = entry + entry_size - (8 if big else 4)
        changed[place : place + width] = (value % (1 << 8 * width)).to_bytes(width, "little" if order == "<" else "big")
    return bytes(changed)


def damage_png(data: bytes, rng: random.Random) -> bytes:
    """Damage a chunk of a PNG, with a right checksum."""
    chunks, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    number = rng.randrange(len(chunks))
    name, content = chunks[number]
    choice = rng.random()
    if name == b"IHDR" and choice < 0.7:
        changed = bytearray(content)
        if rng.random() < 0.5:
            struct.pack_into(">I", changed, rng.choice((0, 4)), rng.choice(EXTREMES) % 2**32)
        else:
            changed[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[number] = (name, bytes(changed))
    elif name == b"IDAT" and choice < 0.6:
        raw = mutate(zlib.decompress(content), b"", rng)
        chunks[number] = (name, zlib.compress(raw))
    elif choice < 0.8:
        chunks[number] = (name, rng.choice(GENERIC)(content, content, rng))
    elif choice < 0.9:
        chunks.insert(rng.randrange(len(chunks)), chunks[number])
    else:
        del chunks[number]
    packed = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return data[:8] + b"".join(packed)


def damage_matlab(data: bytes, rng: random.Random) -> bytes:
    """Change a number of the tags of a MATLAB v5 file, which stand at multiples of four bytes."""
    limit = min(len(data), rng.choice((400, len(data))))
    start = 128 + 4 * rng.randrange(max((limit - 128) // 4, 1))
    value = rng.choice((*EXTREMES, *range(20), 0x00060004, 0x00010001)) % 2**32
    return data[:start] + struct.pack("<I", value) + data[start + 4 :]


def damage_hdf5(data: bytes, rng: random.Random) -> bytes:
    """Change the objects of an HDF5 file: types, shapes, links, attributes, storage."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        if rng.random() < 0.3:
            _damage_attributes(file[rng.choice(names)] if rng.random() < 0.6 else file, rng)
        elif rng.random() < 0.3 and isinstance(file.get(name), h5py.Dataset) and file[name].size:
            _damage_values(file[name], rng)
        else:
            _replace_object(file, name, rng)
    return stream.getvalue()


def _any_value(rng: random.Random) -> object:
    empty = (h5py.Empty("f8"), np.array([], float), np.zeros((2, 0, 3)), np.zeros((1,) * 8))
    texts = ("", "text", "µm", b"\xff\xfe", "9" * 5000, "{", "[1]", "null", np.array([b"x"]), np.array([["a"]], "S1"))
    numbers = (0, -1, 2**63 - 1, 1e308, np.nan, np.inf, True, 1j, np.float16(1), np.uint64(2**64 - 1))
    arrays = (np.zeros((3, 3)), np.arange(4.0), np.zeros((4, 12, 14)), np.zeros((4, 12)), np.full(3, np.nan))
    odd = (np.zeros(3, [("a", "f4"), ("b", "i2")]), np.zeros(2, h5py.ref_dtype), np.arange(5, dtype=">u2"))
    listed = np.array(["a", "b"], h5py.string_dtype())
    return rng.choice((*empty, *texts, *numbers, *arrays, *odd, np.array([True]), listed))


def _damage_attributes(node: h5py.Group | h5py.Dataset, rng: random.Random) -> None:
    names = list(node.attrs)
    name = rng.choice(names) if names and rng.random() < 0.85 else rng.choice(("units", "format", "axes", "kind"))
    if name in node.attrs and rng.random() < 0.2:
        del node.attrs[name]
    else:
        node.attrs[name] = _any_value(rng)


def _damage_values(dataset: h5py.Dataset, rng: random.Random) -> None:
    if dataset.dtype.kind in "biuf":
        values = dataset[()]
        flat = np.array(values).reshape(-1)
        special = rng.choice((0, -1, np.nan, np.inf, 1e30, 255))
        with np.errstate(all="ignore"):
            where = rng.randrange(flat.size) if rng.random() < 0.6 else slice(None)
            flat[where] = np.array(special).astype(dataset.dtype)
        dataset[()] = flat.reshape(np.shape(values))


def _replace_object(file: h5py.File, name: str, rng: random.Random) -> None:
    former = file.get(name)
    attributes = dict(former.attrs) if former is not None else {}
    shape = former.shape if isinstance(former, h5py.Dataset) and former.shape is not None else (3,)
    del file[name]
    choice = rng.randrange(12)
    if choice == 0:
        return
    if choice == 1:
        file.create_group(name)
    elif choice == 2:
        file[name] = h5py.SoftLink(rng.choice(("/nowhere", f"/{name}", "/", ".")))
    elif choice == 3:
        file[name] = h5py.ExternalLink(rng.choice(("/etc/hostname", "other.h5", "", ".")), "/a")
    elif choice == 4:  # A group that contains itself.
        file[name] = file["/"]
    elif choice == 5:
        huge = tuple(rng.choice((10**3, 10**6, 10**9)) for _ in shape) or (10**12,)
        file.create_dataset(name, huge, rng.choice(("f8", "u1", "S100")), chunks=tuple(1 for _ in huge))
    elif choice == 6:
        file.create_dataset(name, (4, 12, 14), "u1", external=[(rng.choice(("/etc/hostname", "absent.raw")), 0, 672)])
    elif choice == 7:
        layout = h5py.VirtualLayout(shape or (2,), "f8")
        layout[...] = h5py.VirtualSource(rng.choice(("absent.h5", "/etc/hostname")), "a", shape or (2,))
        file.create_virtual_dataset(name, layout)
    elif choice == 8 and isinstance(former, h5py.Dataset):
        kind = rng.choice(("f2", "i1", ">f4", "c8", "S3", "u8", "?", h5py.string_dtype()))
        file.create_dataset(name, shape, kind)
    elif choice == 9:
        longer, none = tuple(n + 1 for n in shape), tuple(0 for _ in shape)
        changed = rng.choice(((*shape, 1), shape[1:], shape[::-1], longer, none))
        file[name] = np.ones(changed)
    else:
        file[name] = _any_value(rng)
    if rng.random() < 0.5 and name in file and choice not in (2, 3, 4):
        file[name].attrs.update(attributes)
