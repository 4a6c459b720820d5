"""To be drawn."""

from dashboards.boards.frame import Board

FLEET = Board("fleet", "", ())
