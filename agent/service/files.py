"""What is laid out on a host that has no package of ours: which files, with what in them.

Unit, account, tmpfiles and udev rule are the ones of the Debian package; they go below /etc, where
those of an administrator belong (file-hierarchy(7), systemd.unit(5)).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import Final

UNIT: Final = "etc/systemd/system/wattlas.service"
DROP_INS: Final = "etc/systemd/system/wattlas.service.d"
RULES: Final = "etc/udev/rules.d"
SETTINGS: Final = "etc/wattlas/wattlas.toml"
STATE: Final = "var/lib/wattlas"

PACKAGED_UNIT: Final = "usr/lib/systemd/system/wattlas.service"
"""Where the Debian package has its unit; `lib` is a link to `usr/lib` wherever it installs."""

COMPLETIONS: Final = {
    "bash": "share/bash-completion/completions/wattlas",
    "zsh": "share/zsh/site-functions/_wattlas",
    "fish": "share/fish/vendor_completions.d/wattlas.fish",
}
"""Below the prefix: where each shell looks by itself."""

MADE: Final = "Made by `wattlas install`, which writes it anew: changes belong into {where}."


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be: its path below the root, and its text."""

    path: str
    text: str


def _text(name: str) -> str:
    return resources.files("agent.service").joinpath("files", name).read_text(encoding="utf-8")


def drop_in_names() -> tuple[str, ...]:
    """Return the drop-ins that there are."""
    folder = resources.files("agent.service").joinpath("files", "drop-ins")
    return tuple(
        sorted(f.name.removesuffix(".conf") for f in folder.iterdir() if f.name.endswith(".conf"))
    )


def drop_in(name: str) -> Iterator[Piece]:
    """Return the files of one drop-in: for systemd and, where devices are opened, for udev."""
    yield Piece(f"{DROP_INS}/{name}.conf", _text(f"drop-ins/{name}.conf"))
    folder = resources.files("agent.service").joinpath("files", "drop-ins")
    if folder.joinpath(f"{name}.rules").is_file():
        yield Piece(f"{RULES}/70-wattlas-{name}.rules", _text(f"drop-ins/{name}.rules"))


def opens(name: str) -> str:
    """Return what a drop-in says that it opens: its comment, as one line."""
    comment = [line[2:] for line in _text(f"drop-ins/{name}.conf").splitlines() if line[:1] == "#"]
    return " ".join(comment)


def groups_of(name: str) -> tuple[str, ...]:
    """Return the groups that a drop-in asks for: without one of them the service cannot start."""
    found = re.search(r"^SupplementaryGroups=(.*)$", _text(f"drop-ins/{name}.conf"), re.MULTILINE)
    return tuple(found[1].split()) if found else ()


def service(
    program: PurePosixPath, prefix: PurePosixPath, completions: Mapping[str, str]
) -> Iterator[Piece]:
    """Return all files but the settings; `completions` maps each shell to its script."""
    start = f"ExecStart={_quoted(program)}"
    unit, found = re.subn(
        r"^ExecStart=\S+", lambda _: start, _text("wattlas.service"), flags=re.MULTILINE
    )
    assert found == 1
    yield Piece(UNIT, f"# {MADE.format(where='a drop-in (systemctl edit wattlas)')}\n{unit}")
    for name, path in (
        ("wattlas.sysusers", "etc/sysusers.d/wattlas.conf"),
        ("wattlas.tmpfiles", "etc/tmpfiles.d/wattlas.conf"),
        ("wattlas.rules", f"{RULES}/70-wattlas.rules"),
    ):
        yield Piece(
            path, f"# {MADE.format(where='a file of another name beside it')}\n{_text(name)}"
        )
    below = str(prefix).lstrip("/")
    yield Piece(f"{below}/share/man/man1/wattlas.1", _text("wattlas.1"))
    for shell, path in COMPLETIONS.items():
        yield Piece(f"{below}/{path}", completions[shell])


def sample_settings() -> str:
    """Return the settings with every key as a comment."""
    return _text("wattlas.toml")


def _quoted(path: PurePosixPath) -> str:
    """Write a path as systemd.service(5) reads one in ExecStart=: specifiers and blanks."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    return '"' + text.replace('"', '\\"') + '"' if re.search(r"[\s\"']", text) else text
