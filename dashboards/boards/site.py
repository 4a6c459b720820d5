"""To be drawn."""

from dashboards.boards.frame import Board

SITE = Board("site", "", ())
