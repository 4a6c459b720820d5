"""The rules for Prometheus, made for a site's limits. Pure: limits in, groups of rules out."""

from dashboards.rules.every import groups
from dashboards.rules.model import Alert, Group, Record
from dashboards.rules.text import rules_file

__all__ = ["Alert", "Group", "Record", "groups", "rules_file"]
