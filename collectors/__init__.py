"""One file per source of data; each converts to base units at its edge."""
