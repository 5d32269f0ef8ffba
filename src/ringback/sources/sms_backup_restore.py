"""SMS Backup & Restore (SyncTech): XML whose `call` elements carry Android's columns as attributes.

Source: the field list of its makers and files in public repositories. Older files put calls under `<smses>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final
from xml.parsers import expat

from ringback.sources.android import android_report
from ringback.sources.reading import FileDamaged, FileRefused, Options, SourceFile, SourceRow, pieces_cut_after

NAME: Final = "sms_backup_restore"
ROOTS: Final = ("calls", "smses")

_BEGINS: Final = re.compile(r"<(?:calls|smses|call)[\s/>]")

# What XML doesn't allow, but files have: halves of emoji and control characters, mostly as references. Each is carried
# past the parser as U+FDD0, its code in hex, U+FDD1; so is U+FDD0 itself, which no language uses.
_ILLEGAL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufdd0\ufffe\uffff]|&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,10}));")
_CARRIED: Final = re.compile("\ufdd0([0-9a-f]+)\ufdd1")
_HALVES: Final = re.compile("([\ud800-\udbff])([\udc00-\udfff])")


def recognises(head: str) -> bool:
    """Whether a file that begins so is of this kind."""
    return head.lstrip().startswith("<") and bool(_BEGINS.search(head))


def read(file: SourceFile, options: Options) -> Iterator[SourceRow]:
    """The calls of a backup. Raises FileRefused, FileDamaged."""
    del options
    with file.open() as opened:
        for place, attributes in enumerate(_elements(opened), 1):
            row = {name: value for name, value in attributes.items() if value != "null"}
            row["name"] = row.get("contact_name", "")
            yield SourceRow(place, attributes, android_report(row, NAME))


def _elements(file: BinaryIO) -> Iterator[dict[str, str]]:
    """The attributes of each `call` element, under any root."""
    parser = expat.ParserCreate()
    found: list[dict[str, str]] = []
    seen: set[str] = set()

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "call":
            found.append({key: _restore(value) for key, value in attributes.items()})
        if not seen or name == "call":  # the root, and whether there is any call
            seen.add(name)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        for piece in pieces_cut_after(">", file):
            # As str, so that the file's own word on its encoding counts for nothing.
            parser.Parse(_ILLEGAL.sub(_carry, piece), False)
            yield from found
            found.clear()
        parser.Parse("", True)
    except expat.ExpatError as error:
        yield from found
        if not seen:
            raise FileRefused("it is no XML that can be read") from None
        line = f"{error.lineno:,}"
        raise FileDamaged(f"it is damaged or ends early at line {line}; the calls before that are kept") from None
    if not seen & {"call", *ROOTS}:
        raise FileRefused("it is XML, but no backup of calls")


def _refuse_doctype(*_: object) -> None:
    # Without a DOCTYPE there are no entities that unfold to gigabytes or name other files.
    raise FileRefused("it has a DOCTYPE, which no backup of calls has; remove that")


def _carry(match: re.Match[str]) -> str:
    """What XML doesn't allow in a form that it does; references that it allows stay."""
    if match[1] or match[2]:
        code = int(match[1], 16) if match[1] else int(match[2])
        allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code <= 0x10FFFF
        if (allowed and code != 0xFDD0) or code > 0x10FFFF:
            return match[0]
    else:
        code = ord(match[0])
    return f"\ufdd0{code:x}\ufdd1"


def _restore(text: str) -> str:
    """The text with what was carried, two halves of an emoji joined."""
    if "\ufdd0" not in text:
        return text
    text = _CARRIED.sub(lambda match: chr(int(match[1], 16)), text)
    return _HALVES.sub(
        lambda match: (match[1] + match[2]).encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text
    )
