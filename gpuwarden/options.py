"""What every command shares on the command line: options, and errors turned into exit statuses."""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gpuwarden.errors import GpuwardenError, UserInputError

Function = TypeVar("Function", bound=Callable[..., Any])

FAILED, WRONG_INPUT = 1, 2


def config_option(function: Function) -> Function:
    """``--config FILE``, as a path or None."""
    return click.option(
        "--config",
        type=click.Path(path_type=pathlib.Path),
        metavar="FILE",
        help="Settings file [default: the first of ./gpuwarden.yml, the user's, the system's]",
    )(function)


def listen_option(function: Function) -> Function:
    """``--listen HOST:PORT``."""
    return click.option("--listen", metavar="HOST:PORT", help="Address to serve on; port 0 takes any free one.")(
        function
    )


def demo_option(function: Function) -> Function:
    """``--demo``; None when it is not given, so that the file may say."""
    return click.option("--demo", is_flag=True, default=None, help="Four simulated cards instead of real ones.")(
        function
    )


class Failure(click.ClickException):
    """A domain error on its way to the terminal: its words on stderr, 2 where the user's input is wrong, else 1."""

    def __init__(self, error: GpuwardenError) -> None:
        super().__init__(str(error))
        self.exit_code: int = WRONG_INPUT if isinstance(error, UserInputError) else FAILED  # pyright: ignore[reportIncompatibleVariableOverride] -- click reads it from the instance

    def show(self, file: Any = None) -> None:
        """Print each line of the message after the program's name, unless it starts with a file."""
        click.echo(self.message, err=True, file=file)


class ErrorsToExitStatus(click.Group):
    """A group that turns every error raised on purpose into its message and exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GpuwardenError as error:
            raise Failure(error) from error
