"""To be drawn."""

from dashboards.boards.frame import Board

ACCELERATORS = Board("accelerators", "", ())
