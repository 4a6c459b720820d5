"""Build hook: writes the commit a wheel is built from into it, as agent/REVISION."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RevisionHook(BuildHookInterface[Any]):
    """Adds agent/REVISION; "unknown" where there is no git to ask."""

    PLUGIN_NAME = "revision"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file outside the tree and have it included."""
        del version
        try:
            command = ["git", "-C", self.root, "rev-parse", "--short=12", "HEAD"]
            revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            revision = "unknown"
        self._folder = tempfile.TemporaryDirectory()
        file = Path(self._folder.name, "REVISION")
        file.write_text(revision.strip() + "\n", encoding="ascii")
        build_data["force_include"][str(file)] = "agent/REVISION"
