"""Dashboards, rules and alerts: the code that makes them, and what it made."""
