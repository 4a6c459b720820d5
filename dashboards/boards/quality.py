"""To be drawn."""

from dashboards.boards.frame import Board

QUALITY = Board("quality", "", ())
