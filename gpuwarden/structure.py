"""Plain data into frozen dataclasses, strictly, with every mistake at once.

1. Types are strict: nothing is turned from text into a number, no list is made of a text, an unknown key is a mistake.
2. A field whose key is a Python keyword ends in an underscore: the key ``for`` fills ``for_``.
3. cattrs reports every failure of one pass with its path; the path finds the line; the whole list is raised together.
"""

from collections import abc
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from cattrs import BaseValidationError, Converter
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import (
    make_dict_structure_fn,
    make_mapping_structure_fn,  # pyright: ignore[reportUnknownVariableType] -- cattrs leaves two parameters untyped
    override,
)

from gpuwarden.documents import Document, DocumentError, Locate, Mistake, Path, key_text, nearest
from gpuwarden.units import Duration, Secret, TimeOfDay, parse_duration, parse_time_of_day

T = TypeVar("T")
_Hook = Callable[[Any, Any], Any]
_MINUTES_OF_A_DAY = 1440


class RefusedValueError(ValueError):
    """One value is wrong; ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def structure(cls: type[T], document: Document, path: Path = ()) -> T:
    """Build ``cls`` from the document's data at ``path``.

    Raises:
        DocumentError: with every mistake of the whole value.
    """
    data = document.data
    for step in path:
        data = data[step]
    return structure_data(cls, data, document.locate, path)


def structure_data(cls: type[T], data: object, locate: Locate, path: Path = ()) -> T:
    """Build ``cls`` from plain data; ``locate`` tells where a value came from."""
    try:
        return _CONVERTER.structure(data, cls)
    except (BaseValidationError, RefusedValueError) as error:
        raise DocumentError(_mistakes(error, locate, path)) from error


def keys_of(cls: Any) -> dict[str, str]:
    """The keys that a dataclass takes in a document, with the names of their fields."""
    return {item.name.removesuffix("_"): item.name for item in fields(cls)}


def _mistakes(error: BaseException, locate: Locate, path: Path) -> Iterator[Mistake]:
    for where, leaf in _leaves(error, path):
        if isinstance(leaf, ForbiddenExtraKeysError):
            known = keys_of(leaf.cl)
            for extra in sorted(map(str, leaf.extra_fields)):
                file, line = locate((*where, extra))
                hint = nearest(extra, known) or f"known here: {', '.join(known)}"
                yield Mistake(file, line, key_text((*where, extra)), "is not a known key", hint)
            continue
        file, line = locate(where)
        if isinstance(leaf, KeyError):
            yield Mistake(file, line, key_text(where), "is missing")
        else:
            yield Mistake(file, line, key_text(where), str(leaf), getattr(leaf, "hint", ""))


def _leaves(error: BaseException, path: Path) -> Iterator[tuple[Path, BaseException]]:
    if isinstance(error, ClassValidationError):
        noted, plain = error.group_exceptions()
        for inner, note in noted:
            yield from _leaves(inner, (*path, note.name.removesuffix("_")))
    elif isinstance(error, IterableValidationError):
        noted, plain = error.group_exceptions()
        for inner, note in noted:
            yield from _leaves(inner, (*path, note.index))
    else:
        yield path, error
        return
    for inner in plain:
        yield from _leaves(inner, path)


def _kind(value: object) -> str:
    names: dict[type, str] = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        dict: "a mapping",
        list: "a list",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _number(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = ""
        if isinstance(value, str):
            text = value.strip().removesuffix("%").strip()
            digits = text.replace(".", "", 1).isdigit()
            scale = 0.01 if value.strip().endswith("%") else 1
            hint = f"write {float(text) * scale:g}, without quotes" if digits else ""
        message = f"must be a number, not {_kind(value)}: {value!r}"
        raise RefusedValueError(message, hint)
    return float(value)


def _integer(value: Any, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"must be a whole number, not {_kind(value)}: {value!r}"
        raise RefusedValueError(message)
    return value


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        message = f"must be text, not {_kind(value)}: {value!r}"
        raise RefusedValueError(message, f'write "{value}"' if isinstance(value, int | float) else "")
    return value


def _secret(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        message = f"must be text, not {_kind(value)}"
        raise RefusedValueError(message)
    return value


def _boolean(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        message = f"must be true or false, not {_kind(value)}: {value!r}"
        raise RefusedValueError(message)
    return value


def _duration(value: Any, _: Any) -> Duration:
    if not isinstance(value, str) and value != 0:
        message = f"must be a duration, not {_kind(value)}: {value!r}"
        raise RefusedValueError(message, f"write {value}s" if isinstance(value, int) else "write 30s, 5m, 1h30m")
    try:
        return parse_duration(str(value))
    except ValueError as error:
        raise RefusedValueError(str(error)) from error


def _time_of_day(value: Any, _: Any) -> TimeOfDay:
    if not isinstance(value, str):
        # YAML reads 22:00 without quotes as a number to the base of 60.
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MINUTES_OF_A_DAY
        hint = f'write "{value // 60:02}:{value % 60:02}", in quotes' if whole else 'write "07:00"'
        message = f"must be a time of day, not {_kind(value)}"
        raise RefusedValueError(message, hint)
    try:
        return parse_time_of_day(value)
    except ValueError as error:
        raise RefusedValueError(str(error), 'write "07:00"') from error


def _one_of(value: Any, cls: Any) -> Any:
    words = get_args(cls)
    if value not in words or isinstance(value, bool):
        message = f"{value!r} is not one of {', '.join(map(str, words))}"
        raise RefusedValueError(message, nearest(str(value), map(str, words)))
    return value


def _literal(_: Any) -> _Hook:
    return _one_of


def _number_or_word(_: Any) -> _Hook:
    def hook(value: Any, cls: Any) -> Any:
        words = [word for part in get_args(cls) for word in get_args(part)]
        if value in words and not isinstance(value, bool):
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            message = f"must be {' or '.join(words)} or a whole number, not {_kind(value)}: {value!r}"
            raise RefusedValueError(message)
        return value

    return hook


def is_number_or_word(cls: Any) -> bool:
    """Whether a type is ``int | Literal[...]``: a number, or a word that stands for one."""
    parts = get_args(cls)
    return len(parts) == 2 and parts[0] is int and get_origin(parts[1]) is Literal  # noqa: PLR2004 -- the two


def _strict_dataclass(converter: Converter) -> Callable[[Any], _Hook]:
    def factory(cls: Any) -> _Hook:
        renames: Any = {name: override(rename=key) for key, name in keys_of(cls).items() if key != name}
        build: Any = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **renames)
        return _only(dict, "must be a mapping", build)

    return factory


def _strict_mapping(converter: Converter) -> Callable[[Any], _Hook]:
    def factory(cls: Any) -> _Hook:
        build: Any = make_mapping_structure_fn(cls, converter)
        return _only(dict, "must be a mapping", build)

    return factory


def _strict_tuple(converter: Converter) -> Callable[[Any], _Hook]:
    def factory(cls: Any) -> _Hook:
        items: Any = list[get_args(cls)[0]]

        def build(value: Any, _: Any) -> Any:
            return tuple(converter.structure(value, items))

        return _only(list, "must be a list", build)

    return factory


def _only(kind: type, message: str, build: _Hook) -> _Hook:
    def hook(value: Any, cls: Any) -> Any:
        if not isinstance(value, kind):
            text = f"{message}, not {_kind(value)}"
            raise RefusedValueError(text)
        return build(value, cls)

    return hook


def _has_origin(origin: object) -> Callable[[Any], bool]:
    return lambda cls: get_origin(cls) is origin


def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    scalars: Any = (
        *((float, _number), (int, _integer), (str, _text), (bool, _boolean)),
        *((Duration, _duration), (TimeOfDay, _time_of_day), (Secret, _secret)),
    )
    for kind, hook in scalars:
        converter.register_structure_hook(kind, hook)
    factories: Any = (
        (_has_origin(Literal), _literal),
        (is_number_or_word, _number_or_word),
        (is_dataclass, _strict_dataclass(converter)),
        (_has_origin(tuple), _strict_tuple(converter)),
        (_has_origin(abc.Mapping), _strict_mapping(converter)),
    )
    for predicate, factory in factories:
        converter.register_structure_hook_factory(predicate, factory)
    return converter


_CONVERTER = _converter()
