"""Text as a terminal shows it: nothing invisible, nothing that moves the cursor, and how many columns it takes."""

from __future__ import annotations

import unicodedata

TAB = "    "
STYLES = {"bold": "1", "error": "1;31", "warning": "1;33", "note": "1;34"}


def visible(text: str, *, breaks: bool = False) -> str:
    """text with every control, bidirectional, zero-width and odd blank character written out.

    A spec is somebody else's text: an escape sequence in it must not recolour, erase or fake a message. breaks keeps
    line breaks, for our own text that spans lines.
    """
    return "".join(c if c == "\n" and breaks else cell(c) for c in text)


def cell(character: str) -> str:
    """What to print for one character: a tab as four blanks, a control as its picture (␛), others as \\u{202e}."""
    if character == "\t":
        return TAB
    if " " <= character < "\x7f":
        return character
    if character < " ":
        return chr(0x2400 + ord(character))
    if character == "\x7f":
        return "\u2421"
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def columns(text: str) -> int:
    """How many columns a printable text takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def paint(text: str, style: str, colour: bool) -> str:
    """text in one of STYLES, or as it is."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colour and text else text
