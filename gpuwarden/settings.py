"""Layers of settings: default < file < environment < flag. Each package owns the dataclass that its section fills.

1. The file is the first found of ``--config``, ``./gpuwarden.yml``, the user's and the system's; none is needed.
2. A scalar or a list of scalars has an environment variable: ``alerter.mail.host`` is GPUWARDEN_ALERTER_MAIL_HOST,
   lists are split at commas. Lists of objects live in the file only.
3. Every value remembers where it was written, so that a mistake names the file's line, the variable or the flag.
4. A dataclass may have ``problems()`` which yields (key, message, hint) for what types cannot say; the key is dotted,
   ``routes.0.to`` for the first of a list.
"""

import difflib
import pathlib
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from gpuwarden.documents import Document, DocumentError, Mistake, Path, key_text, nearest, read
from gpuwarden.structure import is_number_or_word, keys_of, structure_data

T = TypeVar("T")

SECTIONS = ("exporter", "alerter")
_PREFIX = "GPUWARDEN"
_OF_A_SERVICE = re.compile(
    r"_(SERVICE_HOST=|SERVICE_PORT(_.+)?=|PORT_\d+_(TCP|UDP|SCTP)(_.+)?=|PORT=(tcp|udp|sctp)://)"
)
"""What Kubernetes puts into the environment of a pod beside a Service that is called like us."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A section's settings and, for each value that is not a default, where it was written."""

    values: T
    origins: Mapping[Path, str]
    file: pathlib.Path | None


def find_file(explicit: pathlib.Path | None, environ: Mapping[str, str]) -> pathlib.Path | None:
    """The settings file to read: the one asked for, else the first that exists, else None."""
    if explicit is not None:
        return explicit
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    places = (pathlib.Path("gpuwarden.yml"), pathlib.Path(home, "gpuwarden", "gpuwarden.yml"))
    return next((path for path in (*places, pathlib.Path("/etc/gpuwarden/gpuwarden.yml")) if _is_file(path)), None)


def _is_file(path: pathlib.Path) -> bool:
    """Whether there is a file to read; a folder that is closed to us counts, so that reading it says so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def load(
    section: str,
    cls: type[T],
    *,
    config: pathlib.Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
) -> Loaded[T]:
    """Merge the layers of one section into ``cls``; ``flags`` are by dotted key, None means "not given".

    Raises:
        DocumentError: with every mistake of every layer.
    """
    file = find_file(config, environ)
    document = read(file) if file else Document("settings", {}, {})
    mistakes = list(_misplaced(document, section))
    layers = _Layers({}, {}, document, section)
    if not mistakes:
        for path, value in _flat(document.data.get(section) or {}, ()):
            layers.put(path, value, document.locate((section, *path)))
    named = {_variable(section, path): (path, kind) for path, kind in leaves(cls)}
    mistakes += _unknown_variables(section, named, environ)
    for variable, (path, kind) in named.items():
        if variable in environ:
            layers.put(path, _from_text(environ[variable], kind), (variable, None))
    for key, value in (flags or {}).items():
        if value is not None:
            layers.put(tuple(key.split(".")), value, ("--" + key.replace("_", "-"), None))
    values = _build(cls, layers, mistakes)
    return Loaded(values, {path: _place(*origin) for path, origin in layers.origins.items()}, file)


def leaves(cls: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The keys of a settings dataclass that hold a scalar or a list of scalars, with their types."""
    hints = get_type_hints(cls)
    for key, name in keys_of(cls).items():
        kind = _without_none(hints[name])
        if is_dataclass(kind):
            yield from leaves(kind, (*path, key))
        elif not is_dataclass((get_args(kind) or (None,))[0]):
            yield (*path, key), kind


@dataclass(slots=True)
class _Layers:
    """The merged values of one section while they are laid, and where each was written."""

    data: dict[str, Any]
    origins: dict[Path, tuple[str, int | None]]
    document: Document
    section: str

    def put(self, path: Path, value: Any, origin: tuple[str, int | None]) -> None:
        """Lay one value over what is there; a parent that is no mapping stays, for its mistake to be told."""
        *parents, last = map(str, path)
        inner = self.data
        for step in parents:
            if inner.get(step) is None:
                inner[step] = {}
            if not isinstance(inner[step], dict):
                return
            inner = inner[step]
        inner[last] = value
        self.origins[path] = origin

    def locate(self, path: Path) -> tuple[str, int | None]:
        """Where the value at ``path`` (with the section in front) was written, or its nearest ancestor in the file."""
        return self.origins.get(path[1:]) or self.document.locate(path)


def _flat(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[Any, Any]", value).items():
            yield from _flat(inner, (*path, str(key)))
    elif path:
        yield path, value


def _build(cls: type[T], layers: _Layers, mistakes: list[Mistake]) -> T:
    try:
        values = structure_data(cls, layers.data, layers.locate, (layers.section,))
    except DocumentError as error:
        raise DocumentError([*mistakes, *error.mistakes]) from error
    for path, message, hint in _problems(values, (layers.section,)):
        mistakes.append(Mistake(*layers.locate(path), key_text(path), message, hint))
    if mistakes:
        raise DocumentError(mistakes)
    return values


def _problems(values: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    if hasattr(values, "problems"):
        for key, message, hint in values.problems():
            yield (*path, *(int(step) if step.isdecimal() else step for step in key.split("."))), message, hint
    for item in fields(values):
        inner = getattr(values, item.name)
        here = (*path, item.name.removesuffix("_"))
        if is_dataclass(inner):
            yield from _problems(inner, here)
        elif isinstance(inner, tuple):
            for index, entry in enumerate(cast("tuple[Any, ...]", inner)):
                if is_dataclass(entry):
                    yield from _problems(entry, (*here, index))


def _misplaced(document: Document, section: str) -> Iterator[Mistake]:
    """Mistakes about the sections themselves; the other packages' sections are theirs to check."""
    sections = f"sections are: {', '.join(SECTIONS)}"
    data: object = document.data
    if not isinstance(data, dict):
        yield document.mistake((), "must be a mapping of sections", sections)
        return
    entries = cast("dict[Any, Any]", data)
    for key in map(str, entries):
        if key not in SECTIONS:
            yield document.mistake((key,), "is not a section", nearest(key, SECTIONS) or sections)
    if not isinstance(entries.get(section) or {}, dict):
        yield document.mistake((section,), "must be a mapping")


def _unknown_variables(section: str, named: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Mistake]:
    for variable in sorted(environ):
        ours = variable.startswith(f"{_PREFIX}_{section.upper()}_") and not _OF_A_SERVICE.search(
            f"{variable}={environ[variable]}"
        )
        if ours and variable not in named:
            close = difflib.get_close_matches(variable, list(named), n=1)
            hint = f"did you mean {close[0]}?" if close else ""
            yield Mistake(variable, None, "", "is an environment variable that sets nothing", hint)


def _variable(section: str, path: Path) -> str:
    return "_".join((_PREFIX, section, *map(str, path))).upper()


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def _without_none(kind: Any) -> Any:
    inner = [part for part in get_args(kind) if part is not type(None)]
    return inner[0] if type(None) in get_args(kind) and len(inner) == 1 else kind


def _from_text(text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind in (int, float, bool) or is_number_or_word(kind):
        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            return text
    return text
