"""Operational emissions: what a kWh emitted when and where it was used. Pure."""
