"""What ``gpuwarden bench`` can do besides: a mode has an option that asks for it, options of its own, and shares some.

An option that has no meaning in the mode that was asked for is refused: nobody is to wait a quarter of an hour for an
answer to another question.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from exporter.bench.fit import cli as cli_fit
from exporter.bench.guide import show
from exporter.bench.module import cli as cli_module
from exporter.model_memory.training import COPIES

Options = Mapping[str, Any]

_OF_BOTH: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--batch",
        type=click.IntRange(min=1, max=2**24),
        metavar="N",
        help="Of --module, or of your own model [default: 1]",
    ),
    click.option("--optimizer", type=click.Choice(list(COPIES)), help="For trainings of --fit and --module."),
)
MODE_OPTIONS = (*show.SHOW_OPTIONS, *cli_module.MODULE_OPTIONS, *cli_fit.FIT_OPTIONS, *_OF_BOTH)
MODES: Mapping[str, Callable[[Options], int]] = {
    "fit": cli_fit.tell_fit,
    "module": cli_module.measure_module,
    "show": show.show_recorded,
}
"""By the option that asks for it; each takes all options and gives the exit status."""
_SHARED = {"fit": cli_fit.SHARED, "module": cli_module.SHARED, "show": show.SHARED}


class InModes(click.Command):
    """Its help has the options of each mode under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            title = next((title for key, title in _TITLES.items() if parameter.name in _OWN[key]), "Options")
            if record := parameter.get_help_record(ctx):
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


_TITLES = {
    "module": "A torch module of your own instead (--module)",
    "fit": "Which models fit a card, without running anything (--fit)",
    "both": "With either of these two",
}


def _names(decorators: Sequence[Callable[[Any], Any]]) -> frozenset[str]:
    """What the options are called in the function that is given them."""

    def holder() -> None: ...

    for decorator in decorators:
        decorator(holder)
    return frozenset(option.name for option in getattr(holder, "__click_params__", ()))


_OWN = {
    "fit": _names(cli_fit.FIT_OPTIONS),
    "module": _names(cli_module.MODULE_OPTIONS),
    "show": _names(show.SHOW_OPTIONS),
    "both": _names(_OF_BOTH),
}


def mode_of(context: click.Context) -> Callable[[Options], int] | None:
    """The mode that was asked for, None for the bench itself.

    Raises:
        click.UsageError: two modes were asked for, or an option that belongs to another.
    """
    asked = [name for name in MODES if context.params[name]]
    mode = asked[0] if asked else ""
    if len(asked) > 1:
        message = f"{' and '.join(f'--{name}' for name in asked)} do different things: ask for one of them"
        raise click.UsageError(message)
    others = _OWN["fit"] | _OWN["module"] | _OWN["both"]
    allowed = _OWN[mode] | _SHARED[mode] if mode else frozenset(context.params) - others
    wrong = f"does not go with --{mode}" if mode else "belongs to another mode: name --fit or --module, too"
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in allowed:
            message = f"{parameter.opts[0]} {wrong}"
            raise click.UsageError(message)
    return MODES[mode] if mode else None
