"""Users of this machine, as an operator names them."""

import pwd
import shlex
from pathlib import Path


def user_name(uid: int) -> str:
    """Return the name of a user, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def giving(path: Path | str, user: str) -> str:
    """Return the command that gives a path, and all below it, to a user.

    Args:
        path: to give away.
        user: its name, or the number of one without a name, whose group `chown` cannot find.
    """
    return f"chown -R {user}{'' if user.isdigit() else ':'} {shlex.quote(str(path))}"
