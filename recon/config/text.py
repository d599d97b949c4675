"""Text of a config file, in any encoding that YAML allows, with the place of the first byte that is no text."""

from os import PathLike
from pathlib import Path

from ..errors import ConfigError, Diagnostic

MAX_BYTES = 1 << 20
"""Largest size of a config: a hundred times that of one with every key."""
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a ZIP archive (or NPZ)"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"MATLAB 7.3", "a MATLAB file"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"\x89PNG", "a PNG"),
    (b"%PDF", "a PDF"),
)


def read_config_text(path: str | PathLike[str]) -> str:
    """Read the text of a config.

    UTF-8 and, as editors of Windows write it, UTF-16 or UTF-32 with a byte order mark.

    Raises:
        ConfigError: If it is another kind of file, too large, or not text.
        OSError: If it cannot be read.
    """
    with Path(path).open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            remedy = "a config is a text of YAML, and comes before the data: unflat COMMAND CONFIG ACQUISITION"
            raise ConfigError(Diagnostic(str(path), f"is no config but {name}", remedy))
    if len(content) > MAX_BYTES:
        message = f"is larger than a config may be ({MAX_BYTES >> 20} MiB)"
        raise ConfigError(Diagnostic(str(path), message, "name a file of the data where long lists are due"))
    return _decode(content, str(path))


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """Return the line and the column of a character, both counted from 1."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _decode(content: bytes, name: str) -> str:
    encoding = next((e for mark, e in _BYTE_ORDER_MARKS if content.startswith(mark)), None) or _unmarked(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(_undecodable(content, encoding, error.start, name)) from None


def _unmarked(content: bytes) -> str:
    """Return the encoding of a text without a byte order mark: ASCII in UTF-16 has zeros at every second byte."""
    head = content[:64]
    even, odd = set(head[::2]), set(head[1::2])
    if len(content) % 2 == 0 and 0 not in even and odd == {0}:
        return "utf-16-le"
    if len(content) % 2 == 0 and 0 not in odd and even == {0}:
        return "utf-16-be"
    return "utf-8"


def _undecodable(content: bytes, encoding: str, index: int, name: str) -> Diagnostic:
    line, column = line_and_column(content[:index].decode(encoding, errors="replace"), len(content))
    byte = content[index : index + 1]
    message = f"not text: byte 0x{byte.hex()} is not {encoding.upper().removesuffix('-SIG')}"
    if encoding == "utf-8" and b"\x00" not in content:
        character = byte.decode("cp1252", errors="replace")
        if character.isprintable() and character != "�":
            message += f" (in the encoding of Windows it is {character!r})"
    return Diagnostic(f"{name}:{line}:{column}", message, "save the file as UTF-8")
