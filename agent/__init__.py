"""Wattlas' core: what is measured becomes energy, is kept, and can be asked for."""
