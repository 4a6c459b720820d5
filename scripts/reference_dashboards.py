"""The rules file, the list of rules, and the dashboards' JSON, made from their code."""

import json

from reference_settings import MADE

from agent.alerts import all_limits
from agent.cli.rules import HEADER
from dashboards.boards import boards
from dashboards.rules import Alert, Group, Record, groups, rules_file


def made() -> dict[str, str]:
    """Return every file's text by its path from the root."""
    every = list(groups(all_limits({})))
    header = f"{HEADER.format(whose=' with the default thresholds')}\n{MADE}"
    texts = {
        name: json.dumps(board, indent=2, ensure_ascii=False) for name, board in boards().items()
    }
    return {
        "dashboards/wattlas.rules.yml": rules_file(every, header),
        "docs/reference/rules.md": rules_page(every),
        **{f"dashboards/grafana/{name}.json": f"{text}\n" for name, text in texts.items()},
    }


def rules_page(every: list[Group]) -> str:
    """Return a page that lists all rules."""
    lines = ["# Rules", "", f"<!-- {MADE} -->", ""]
    lines += ["With the default thresholds; `wattlas rules` prints them with yours.", ""]
    lines += [
        "## Alerts",
        "",
        "| alert | severity | for | what is wrong | runbook |",
        "|---|---|---|---|---|",
    ]
    for group in every:
        for rule in group.rules:
            if isinstance(rule, Alert):
                lines.append(
                    f"| `{rule.name}` | {rule.severity} | {rule.for_} | {rule.summary}"
                    f" | [{rule.runbook}](../runbooks/{rule.runbook}.md) |"
                )
    lines += ["", "## Recorded series", ""]
    for group in every:
        records = [rule for rule in group.rules if isinstance(rule, Record)]
        if records:
            lines += [
                f"### {group.name}, every {group.interval}",
                "",
                "| series | is |",
                "|---|---|",
            ]
            lines += [f"| `{rule.name}` | {rule.about} |" for rule in records]
            lines.append("")
    return "\n".join(lines)
