"""Uninstalling: the service goes, what it measured stays unless that is to go too."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from agent.service import ServiceError, files
from agent.service.host import Host
from agent.service.setting_up import LOOK

ACCOUNT = "wattlas"


def uninstall(host: Host, prefix: PurePosixPath, *, purge: bool) -> None:
    """Remove what `install` made; with `purge`, also ledger, settings and account.

    Raises `ServiceError`.
    """
    if host.file(files.PACKAGED_UNIT).exists():
        raise ServiceError(
            "the Debian package has made the service; take it away with: apt-get"
            f" {'purge' if purge else 'remove'} wattlas"
        )
    if host.file(files.UNIT).exists():
        if host.live:
            host.run("systemctl", "disable", "--now", "wattlas", why="stop", must=LOOK)
        else:
            host.run("systemctl", f"--root={host.root}", "disable", "wattlas", why="at boot")
    pieces = [
        *files.service(PurePosixPath("/"), prefix, dict.fromkeys(files.COMPLETIONS, "")),
        *(piece for name in files.drop_in_names() for piece in files.drop_in(name)),
    ]
    removed = [host.remove(piece.path) for piece in pieces]
    host.remove_if_empty(files.DROP_INS)
    if host.live and any(removed):
        host.run("systemctl", "daemon-reload", why="systemd")
        host.reload_udev()
    if purge:
        _purge(host)
        return
    kept = [path for path in (files.STATE, "etc/wattlas") if host.file(path).exists()]
    if kept:
        host.tell(f"kept       {', '.join(map(host.shown, kept))}: --purge removes them too")
    elif not any(removed):
        host.tell("nothing    of `wattlas install` is here")


def _purge(host: Host) -> None:
    for path in (files.STATE, "etc/wattlas"):
        host.remove(path)
    if host.live:
        _close_sensors(host)
    if host.has_group(ACCOUNT):
        root = () if host.live else ("--root", str(host.root))
        host.run("userdel", *root, ACCOUNT, why="account")
        if not host.dry and host.has_group(ACCOUNT):
            host.run("groupdel", *root, ACCOUNT, why="account")


def _close_sensors(host: Host) -> None:
    """Give the sensors back to root: the group's number will be another group's one day."""
    patterns = (
        "class/powercap/intel-rapl:*/energy_uj",
        "class/hwmon/hwmon*/energy*_input",
        "firmware/dmi/tables/DMI",
    )
    opened = sorted(
        str(file)
        for pattern in patterns
        for file in host.file("sys").glob(pattern)
        if file.group() == ACCOUNT
    )
    if opened:
        host.run("chown", "root:root", *opened, why="sensors")
        host.run("chmod", "0400", *opened, why="sensors")


def remove_drop_ins(host: Host, names: Sequence[str]) -> None:
    """Take away what drop-ins opened, and restart the service without it."""
    pieces = [piece for name in names for piece in files.drop_in(name)]
    removed = [host.remove(piece.path) for piece in pieces]
    host.remove_if_empty(files.DROP_INS)
    if not any(removed):
        host.tell("nothing    of these drop-ins is here")
    elif host.live:
        host.run("systemctl", "daemon-reload", why="systemd", must=LOOK)
        host.reload_udev()
        host.run("systemctl", "try-restart", "wattlas", why="restart", must=LOOK)
