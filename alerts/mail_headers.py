"""Header lines as they stand on the wire: RFC 5322 section 2.2.3 (folding) and RFC 2047 (text beyond ASCII).

Written by hand because the standard library's folding loses spaces between encoded words and differs between versions,
while a resend must be the same bytes. Lines stay within 76 characters; only one long ASCII word may pass them.
"""

import base64
from collections.abc import Iterator, Sequence

from alerts.clean_text import one_line
from alerts.mail_settings import split_address

_LINE = 76
_FOLD = "\r\n "
_ENCODED_WORD_FRAME = len("=?utf-8?b??=")
_NAME_LIMIT = 80
# Characters that mean something in an address header.
_NAME_SPECIALS = str.maketrans(dict.fromkeys('()<>[]:;@\\,."', " "))


def text_header(name: str, text: str, limit: int) -> tuple[str, str]:
    """The line of ``name`` with ``text`` as one line of at most ``limit`` characters, and that text as it is read.

    Nothing in ``text`` is taken for an encoded word, which could hide line breaks from everybody but the reader.
    """
    read = one_line(text.replace("=?", "= ?"), limit)
    return f"{name}: {_folded(read, len(name) + 2)}\r\n", read


def token_header(name: str, value: str) -> str:
    """The line of ``name`` with a short ASCII ``value`` that must stand there unfolded."""
    return f"{name}: {value}\r\n"


def address_header(name: str, mailboxes: Sequence[str]) -> str:
    """The line of ``name`` with those of ``mailboxes`` that are addresses, one to a line; empty without any."""
    parts = [parts for parts in map(split_address, mailboxes) if parts]
    listed = f",{_FOLD}".join(_mailbox(shown, address, len(name) + 2) for shown, address in parts)
    return f"{name}: {listed}\r\n" if listed else ""


def _mailbox(name: str, address: str, used: int) -> str:
    plain = one_line(name.translate(_NAME_SPECIALS).replace("=?", "= ?"), _NAME_LIMIT)
    if not plain:
        return address
    return f"{_folded(plain, used)}{_FOLD if not plain.isascii() else ' '}<{address}>"


def _folded(text: str, used: int) -> str:
    """``text``, folded for a line of which ``used`` characters are taken."""
    if text.isascii():
        return _wrapped(text, used)
    plain, rest = _ascii_beginning(text)
    words = list(_encoded_words(rest, _LINE - (used + len(plain) if len(plain) < _LINE // 2 - used else 1)))
    if not plain:
        return _FOLD.join(words)
    return f"{_wrapped(plain.rstrip(), used)}{' ' if len(plain) < _LINE // 2 - used else _FOLD}{_FOLD.join(words)}"


def _wrapped(text: str, used: int) -> str:
    lines: list[str] = []
    line, room = "", _LINE - used
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and len(longer) > room:
            lines.append(line)
            line, room = word, _LINE - 1
        else:
            line = longer
    return _FOLD.join([*lines, line])


def _ascii_beginning(text: str) -> tuple[str, str]:
    """Split before the first word that needs encoding, so that filters can read what comes before it."""
    first = next(index for index, char in enumerate(text) if not char.isascii())
    start = text.rfind(" ", 0, first) + 1
    return text[:start], text[start:]


def _encoded_words(text: str, first_room: int) -> Iterator[str]:
    """RFC 2047 ``b`` words of whole characters, the first within ``first_room`` characters."""
    chunk, room = b"", _bytes_within(first_room)
    for char in text:
        encoded = char.encode("utf-8")
        if chunk and len(chunk) + len(encoded) > room:
            yield _encoded_word(chunk)
            chunk, room = b"", _bytes_within(_LINE - 1)
        chunk += encoded
    yield _encoded_word(chunk)


def _bytes_within(characters: int) -> int:
    return (characters - _ENCODED_WORD_FRAME) // 4 * 3


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode('ascii')}?="
