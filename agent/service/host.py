"""The host that is changed: files below a root, systemd's tools. Says each thing that it does."""

import grp
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.service import ServiceError
from agent.service.files import Piece

COMMAND_SECONDS: Final = 400
"""Longer than TimeoutStartSec= of the unit: systemctl waits until the agent is ready."""


class Host:
    """A host, or an image of one below `root`. With `dry`, it only says what it would do."""

    def __init__(self, root: Path, say: Callable[[str], None], *, dry: bool = False) -> None:
        self.root = root
        self.dry = dry
        self._say = say

    @property
    def live(self) -> bool:
        """Whether this is the host itself, and not an image of one."""
        return self.root == Path("/")

    def check(self, command: str) -> None:
        """Raise `ServiceError` where nothing could be done: no right to, or no systemd."""
        if shutil.which("systemctl") is None:
            raise ServiceError(
                "there is no systemd here (no systemctl); run `wattlas run` under what starts"
                " services on this host"
            )
        if self.dry:
            return
        if self.live and os.geteuid() != 0:
            raise ServiceError(f"only root may do this: sudo {command}")
        if self.live and not Path("/run/systemd/system").is_dir():
            raise ServiceError(
                "systemd does not run this system (a container, a chroot?);"
                " run `wattlas run` itself here, or prepare an image with --root DIR"
            )

    def file(self, path: str) -> Path:
        """Return a path below the root."""
        return self.root / path

    def shown(self, path: str) -> str:
        """Return a path as the host itself will see it."""
        return f"/{path}"

    def tell(self, text: str) -> None:
        """Say one line."""
        self._say(text)

    def write(self, piece: Piece) -> bool:
        """Write a file where it is not so already; return whether it changed."""
        file = self.file(piece.path)
        there = file.exists()
        if there and file.read_bytes() == piece.text.encode():
            self.tell(f"as before  {self.shown(piece.path)}")
            return False
        self.tell(f"{'replaced' if there else 'made':<9}  {self.shown(piece.path)}")
        if self.dry:
            return True
        try:
            for folder in reversed(file.parents):
                if not folder.exists():
                    folder.mkdir()
                    folder.chmod(0o755)  # whatever root's umask is
            written = file.with_name(f".{file.name}.new")
            written.write_text(piece.text, encoding="utf-8")
            written.chmod(0o644)
            written.replace(file)
        except OSError as error:
            raise ServiceError(
                f"{file}: cannot be written ({error.strerror}); is that file system read-only?"
            ) from None
        return True

    def remove(self, path: str) -> bool:
        """Remove a file or a folder with all in it; return whether it was there."""
        file = self.file(path)
        if not file.exists() and not file.is_symlink():
            return False
        self.tell(f"removed    {self.shown(path)}")
        if not self.dry:
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()
        return True

    def remove_if_empty(self, path: str) -> None:
        """Remove a folder that has nothing in it any more."""
        file = self.file(path)
        if not self.dry and file.is_dir() and not any(file.iterdir()):
            file.rmdir()

    def has_group(self, name: str) -> bool:
        """Whether the host knows a group."""
        if not self.live:
            return f"\n{name}:" in "\n" + self.file("etc/group").read_text(encoding="utf-8")
        try:
            grp.getgrnam(name)
        except KeyError:
            return False
        return True

    def reload_udev(self) -> bool:
        """Have udev read its rules anew; False where it does not run, as in a container."""
        return Path("/run/udev/control").exists() and self.run(
            "udevadm", "control", "--reload", why="udev"
        )

    def run(self, *command: str, why: str, must: str = "") -> bool:
        """Run a command and say why. With `must`, its failure is a `ServiceError` with that."""
        self.tell(f"{why:<9}  {' '.join(command)}")
        if self.dry:
            return True
        if shutil.which(command[0]) is None:
            if must:
                raise ServiceError(f"{command[0]}: there is no such program here; {must}")
            self.tell(f"           (there is no {command[0]} here)")
            return False
        try:
            done = subprocess.run(  # noqa: S603 - systemd's own tools, by fixed arguments
                command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{' '.join(command)}: no end after {COMMAND_SECONDS} s") from None
        if done.returncode == 0:
            return True
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        if must:
            raise ServiceError(f"{' '.join(command)}: {last}; {must}")
        self.tell(f"           ({last})")
        return False
