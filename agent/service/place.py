"""Where this program is, and whether the service's own user could start it from there."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.service import ServiceError

HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108
"""What the unit shuts its program out from: ProtectHome= and PrivateTmp= (systemd.exec(5))."""

REMEDY: Final = (
    "install it where every user can read it and start again:"
    " PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install wattlas, or"
    " UV_TOOL_DIR=/opt/uv/tools UV_TOOL_BIN_DIR=/usr/local/bin"
    " UV_PYTHON_INSTALL_DIR=/opt/uv/python uv tool install wattlas"
)


def program() -> Path:
    """Return the path of the command `wattlas` of this environment. Raises `ServiceError`."""
    beside = Path(sys.executable).parent / "wattlas"
    if beside.is_file():
        return beside
    called = Path(sys.argv[0])
    if called.name == "wattlas" and called.is_file():
        return called.resolve()
    raise ServiceError(
        f"there is no command wattlas beside {sys.executable};"
        " install Wattlas with pipx, uv tool or pip"
    )


def needed(command: Path) -> Iterator[Path]:
    """Return what must be readable to start `command`: itself, its Python, its libraries."""
    yield command
    yield Path(sys.executable)
    yield Path(sys.base_prefix)
    yield Path(__file__).parents[2]


def check_reachable(command: Path) -> None:
    """Raise `ServiceError` where the service's user cannot get at the program or its Python."""
    for path in needed(command):
        real = path.resolve()
        for folder in HIDDEN:
            if path.is_relative_to(folder) or real.is_relative_to(folder):
                raise ServiceError(f"{path}: the service may not look into {folder}; {REMEDY}")
        if closed := closed_part(real):
            raise ServiceError(
                f"{path}: users other than its owner may not read {closed}; {REMEDY}"
            )


def closed_part(path: Path) -> Path | None:
    """Return the first folder on the way to a path, or itself, that is closed to other users."""
    for part in (*reversed(path.parents), path):
        mode = part.stat().st_mode
        if not mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH):
            return part
    return None
