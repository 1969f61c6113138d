"""Names from outside, made fit for a label, a mail and a terminal.

Process names are chosen by whoever starts the process. What could break a page, forge a line of a mail or turn the
reading direction of a table is taken out here, once, so that nothing behind the snapshot has to think of it. Quotes
and backslashes stay: they are legitimate, and each output escapes them by its own rules.
"""

MAX_LABEL = 128
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Fixed for good by Unicode's stability policy, so they need no table of all characters.
_C0, _C1, _SURROGATES = range(0x20), range(0x7F, 0xA0), range(0xD800, 0xE000)
_BREAKS = frozenset("\u2028\u2029")
_REPLACEMENT = "\ufffd"
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_PLANE_ENDS = 0xFFFE


def clean_label(text: str | bytes, limit: int = MAX_LABEL) -> str:
    """At most ``limit`` printable characters on one line.

    Bytes that are no UTF-8 and lone surrogates (how Python carries such bytes in a ``str``) become U+FFFD; line breaks
    and tabs become one space; other control characters (C0, C1, bidirectional, NUL) and code points that Unicode has
    set aside as no characters go; white space at the ends goes. A name that was cut ends in an ellipsis.
    """
    # A hostile name may be megabytes long: what lies far behind the limit cannot matter.
    head = text[: limit * 8]
    if isinstance(head, bytes):
        head = head.decode(errors="replace")
    kept = " ".join("".join(map(_printable, head)).split())
    if len(kept) > limit or (len(text) > limit * 8 and len(kept) == limit):
        return kept[: limit - 1].rstrip() + "…"
    return kept


def program_name(command: str) -> str:
    """The program of a command line or path: neither folders nor arguments, which are where secrets stand."""
    words = command.split(maxsplit=1)
    return words[0].rpartition("/")[2] if words else ""


def _printable(character: str) -> str:
    if character in _BREAKS or character.isspace():
        return " "
    point = ord(character)
    if point in _SURROGATES:
        return _REPLACEMENT
    gone = point in _C0 or point in _C1 or character in _BIDI or _is_noncharacter(point)
    return "" if gone else character


def _is_noncharacter(point: int) -> bool:
    return point & _PLANE_ENDS == _PLANE_ENDS or point in _NONCHARACTERS
