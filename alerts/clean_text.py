"""Text from outside, made harmless for one line of a mail: no line breaks, no hidden or reordering characters."""

import unicodedata

_JOINERS = "\u200c\u200d"  # invisible, but words of several scripts and many emoji need them
_REPLACEMENT = "\ufffd"


def one_line(text: str, limit: int) -> str:
    """``text`` as one line of at most ``limit`` code points.

    Line breaks, tabs and other control characters become a space; bidirectional controls and the rest of Unicode's
    format characters (category Cf) go; lone surrogates and noncharacters, which no mail can carry, are replaced.
    """
    if len(text) <= limit and text.isprintable():  # none of those characters, nor any white space but blanks
        return " ".join(text.split())
    # A few times the limit is enough to fill it, and what is cut off need not be looked at.
    harmless = "".join(_harmless(char) for char in text[: limit * 4])
    line = " ".join(harmless.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def _harmless(char: str) -> str:
    category = unicodedata.category(char)
    if category in {"Cc", "Zl", "Zp"}:
        return " "
    if category == "Cs" or ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF:  # noqa: PLR2004 -- Unicode 23.7
        return _REPLACEMENT
    return "" if category == "Cf" and char not in _JOINERS else char
