"""YAML with the line of every key and item; mistakes that name file, line, key and the nearest valid name.

``parse`` reads the text once into plain data. ``gpuwarden.structure`` then builds frozen dataclasses from it.
"""

import difflib
import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from gpuwarden.errors import UserInputError

Path = tuple[str | int, ...]
Locate = Callable[[Path], tuple[str, int | None]]
"""Where the value at a path was written: a file (or what stands in its place) and a line."""

_MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a document, ready to be printed."""

    file: str
    line: int | None
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Print as ``rules.yml:12: rules[2].above: must be a number (write 0.90)``."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        subject = f"{self.key}: " if self.key else ""
        return f"{place}: {subject}{self.message}" + (f" ({self.hint})" if self.hint else "")


class DocumentError(UserInputError, ValueError):
    """A document is wrong; ``mistakes`` holds everything that was found, in the order of the lines."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda item: (item.file, item.line or 0)))
        super().__init__("\n".join(map(str, self.mistakes)))

    def __reduce__(self) -> tuple[type["DocumentError"], tuple[tuple[Mistake, ...]]]:
        """Pickle by the mistakes: what read the document may be another process (``gpuwarden.apart``)."""
        return DocumentError, (self.mistakes,)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dict, list, scalars) and where each part of it was written."""

    file: str
    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int | None:
        """The line of ``path``, or of its nearest written ancestor."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def locate(self, path: Path) -> tuple[str, int | None]:
        """File and line of ``path``."""
        return self.file, self.line(path)

    def mistake(self, path: Path, message: str, hint: str = "") -> Mistake:
        """A mistake about the value at ``path``."""
        return Mistake(self.file, self.line(path), key_text(path), message, hint)


def key_text(path: Path) -> str:
    """Write a path for a person: ``rules[2].above``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint that names the known word most like ``word``, or an empty text."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else ""


def read(path: pathlib.Path, *, as_written: bool = False) -> Document:
    """Read and parse a file; see ``parse``.

    Raises:
        DocumentError: it cannot be read, is not UTF-8 or not the YAML that ``parse`` takes.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError([Mistake(str(path), None, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise DocumentError([Mistake(str(path), None, "", f"is not UTF-8 text: {error.reason}")]) from error
    return parse(text, str(path), as_written=as_written)


def parse(text: str, file: str, *, as_written: bool = False) -> Document:
    """Parse one YAML document; an empty one is an empty mapping.

    ``as_written`` leaves every scalar the text that stands there: ``0x5`` is not 5, and ``no`` is not false.

    Raises:
        DocumentError: YAML syntax, a key given twice, an alias within itself, or more than 100,000 values.
    """
    try:
        _refuse_unreadable(text, file)
        loader = yaml.BaseLoader(text) if as_written else yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines = _index(node, file)
        data: Any = loader.construct_document(node) if node else None  # pyright: ignore[reportUnknownMemberType] -- stubs
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        message = " ".join(filter(None, (error.context, error.problem)))
        raise DocumentError([Mistake(file, mark.line + 1 if mark else None, "", f"is not YAML: {message}")]) from error
    except RecursionError as error:
        raise DocumentError([Mistake(file, None, "", "is nested too deeply")]) from error
    except DocumentError:
        raise
    except (ValueError, OverflowError, IndexError, AttributeError, TypeError) as error:  # PyYAML's own, on odd tags
        raise DocumentError([Mistake(file, None, "", f"holds a value that YAML cannot read: {error}")]) from error
    return Document(file, {} if data is None else data, lines)


def _refuse_unreadable(text: str, file: str) -> None:
    try:
        yaml.reader.Reader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"holds a character that YAML does not allow: {error.character!r}"
        raise DocumentError([Mistake(file, line, "", message)]) from error


def _index(root: yaml.Node | None, file: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    mistakes: list[Mistake] = []
    stack: list[tuple[Path, yaml.Node | None, tuple[int, ...]]] = [((), root, ())]
    while stack:
        path, node, ancestors = stack.pop()
        if node is None:
            continue
        line = node.start_mark.line + 1
        if id(node) in ancestors or len(lines) > _MOST_NODES:
            raise DocumentError([Mistake(file, line, key_text(path), "is too large or refers to itself")])
        lines.setdefault(path, line)
        inner = (*ancestors, id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                below = (*path, str(key.value))
                if below in lines:
                    mistakes.append(_twice(file, key, below, lines[below]))
                lines[below] = key.start_mark.line + 1
                stack.append((below, value, inner))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(((*path, index), item, inner) for index, item in enumerate(node.value))
    if mistakes:
        raise DocumentError(mistakes)
    return lines


def _twice(file: str, key: yaml.Node, path: Path, first: int) -> Mistake:
    return Mistake(file, key.start_mark.line + 1, key_text(path), f"is given twice, first in line {first}")
