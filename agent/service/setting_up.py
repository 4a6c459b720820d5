"""Installing: accounts, files, rights, then the service itself; again, it does what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from agent.service import ServiceError, files
from agent.service.files import Piece
from agent.service.host import Host
from agent.service.place import check_reachable

LOOK: Final = "look at: journalctl --unit wattlas --lines 20"
PACKAGE: Final = PurePosixPath("/usr/bin/wattlas")
"""The command of the Debian package."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    command: Path
    """The program that becomes a service."""
    prefix: PurePosixPath
    """Where the man page and completions go."""
    settings: str | None
    """Text of the settings to begin with; None: every key as a comment."""
    drop_ins: Sequence[str]
    """Names of drop-ins."""
    completions: Mapping[str, str]
    """The script of each shell."""
    start: bool = True
    """Whether the service is started, and at every boot."""


def install(host: Host, wanted: Wanted) -> None:
    """Make the program a service of the host. Raises `ServiceError`."""
    command = wanted.command
    if host.file(files.PACKAGED_UNIT).exists():
        _add_to_package(host, wanted)
        return
    if host.live:
        check_reachable(command)
    _check_groups(host, wanted.drop_ins)
    begin = _settings(host, wanted.settings)
    pieces = [*files.service(PurePosixPath(command), wanted.prefix, wanted.completions)]
    for piece in pieces:
        host.write(piece)
    if begin is not None:
        host.write(begin)
    for piece in _pieces(wanted.drop_ins):
        host.write(piece)
    at_root = () if host.live else (f"--root={host.root}",)
    host.run(
        "systemd-sysusers", *at_root, "wattlas.conf", why="account", must="is systemd complete?"
    )
    if not host.live:
        if not host.file(str(command).lstrip("/")).exists():
            host.tell(f"note       {command} is not in {host.root} yet: install Wattlas there")
        if wanted.start:
            host.run("systemctl", *at_root, "enable", "wattlas", why="at boot", must="see above")
        return
    host.run("systemd-tmpfiles", "--create", "wattlas.conf", why="sensors")
    _reload(host, ("powercap", "hwmon"), wanted.drop_ins)
    if wanted.start:
        host.run("systemctl", "enable", "wattlas", why="at boot", must=LOOK)
        host.run("systemctl", "restart", "wattlas", why="start", must=LOOK)
        host.tell("running; wattlas check says what it can measure here")


def _add_to_package(host: Host, wanted: Wanted) -> None:
    """On a host with the Debian package only drop-ins are ours to lay out."""
    if PurePosixPath(wanted.command) != PACKAGE:
        raise ServiceError(
            f"the Debian package has made a service of {PACKAGE} here; use that one, or take it"
            " away first: apt-get remove wattlas"
        )
    if not wanted.drop_ins:
        raise ServiceError(
            "the Debian package has already made the service; --drop-in NAME opens more to it,"
            " systemctl enable --now wattlas starts it"
        )
    _check_groups(host, wanted.drop_ins)
    changed = [host.write(piece) for piece in _pieces(wanted.drop_ins)]
    if host.live:
        _reload(host, (), wanted.drop_ins)
        if any(changed) and wanted.start:
            host.run("systemctl", "try-restart", "wattlas", why="restart", must=LOOK)


def _pieces(drop_ins: Iterable[str]) -> list[Piece]:
    return [piece for name in drop_ins for piece in files.drop_in(name)]


def _check_groups(host: Host, drop_ins: Iterable[str]) -> None:
    for name in drop_ins:
        for group in files.groups_of(name):
            if not host.has_group(group):
                raise ServiceError(
                    f"drop-in {name}: there is no group {group} on this host, and the service could"
                    f" not start; install the driver that makes it, or: groupadd --system {group}"
                )


def _settings(host: Host, text: str | None) -> Piece | None:
    """Return the settings to write, None where there are some; those are never overwritten."""
    there = host.file(files.SETTINGS)
    begin = Piece(files.SETTINGS, files.sample_settings() if text is None else text)
    if not there.exists():
        return begin
    if text is not None and there.read_text(encoding="utf-8") != text:
        raise ServiceError(
            f"{there}: is there and is different; it is never overwritten:"
            " move it away, or leave --config out"
        )
    host.tell(f"kept       {host.shown(files.SETTINGS)}")
    return None


def _reload(host: Host, subsystems: Iterable[str], drop_ins: Iterable[str]) -> None:
    """Let systemd and udev know; udev applies its rules to what is there already."""
    host.run("systemctl", "daemon-reload", why="systemd", must=LOOK)
    of_drop_ins = [name for name in drop_ins if len([*files.drop_in(name)]) > 1]
    matches = [f"--subsystem-match={name}" for name in (*subsystems, *of_drop_ins)]
    if matches and host.reload_udev():
        host.run("udevadm", "trigger", "--action=change", *matches, why="udev")
