"""The names of users by their numbers; until a name is known, and where there is none, the number stands for it."""

import pwd
from collections.abc import Callable
from pathlib import Path

from exporter.processes.lookups import Lookups

_MOST_BYTES = 2**20


def system_name(number: int) -> str:
    """The login name that goes with a user's number on this system (``getpwuid``).

    Raises:
        KeyError: there is none, or the service that would know it is out of reach.
    """
    return pwd.getpwuid(number).pw_name


def name_in(passwd: Path) -> Callable[[int], str]:
    """A look-up in the ``passwd`` file of another system; users of its directory services are not in there.

    The look-up raises OSError when the file cannot be read and KeyError when the user is not in it.
    """

    def look_up(number: int) -> str:
        with passwd.open("rb") as file:
            lines = file.read(_MOST_BYTES).decode(errors="replace").splitlines()
        for line in lines:
            name, _, rest = line.partition(":")
            if name and rest.split(":")[1:2] == [str(number)]:
                return name
        raise KeyError(number)

    return look_up


class UserNames:
    """Safe to share between threads; never waits for a name."""

    def __init__(self, look_up: Callable[[int], str] = system_name) -> None:
        self._names: Lookups[int] = Lookups("user names", look_up)

    def name(self, number: int) -> str:
        """The name of the user with this ``number``, cleaned for a label; the number itself while none is known."""
        return self._names.known(number) or str(number)

    def settled(self, number: int) -> bool:
        """Whether the name, or that there is none, has been found out."""
        return self._names.settled(number)
