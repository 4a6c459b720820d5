"""Wattlas as a service of this host, for `wattlas install` and `wattlas uninstall`; does I/O."""


class ServiceError(Exception):
    """It cannot be done: one plain sentence with the culprit and the remedy."""
