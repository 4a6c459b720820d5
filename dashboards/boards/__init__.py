"""The Grafana dashboards, made with grafana-foundation-sdk (development only)."""

from typing import Any

from dashboards.boards.accelerators import ACCELERATORS
from dashboards.boards.fleet import FLEET
from dashboards.boards.frame import dashboard
from dashboards.boards.lifecycle import LIFECYCLE
from dashboards.boards.quality import QUALITY
from dashboards.boards.server import SERVER
from dashboards.boards.site import SITE

BOARDS = (FLEET, SITE, SERVER, ACCELERATORS, LIFECYCLE, QUALITY)


def boards() -> dict[str, dict[str, Any]]:
    """Return each dashboard's JSON by the name of its file."""
    return {board.name: dashboard(board) for board in BOARDS}
