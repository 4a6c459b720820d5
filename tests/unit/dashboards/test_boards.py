"""The dashboards as files: links lead somewhere, panels keep their place, nothing is lost."""

import importlib
import json
import re
import warnings

import promql_parser
import pytest
from unit.dashboards.promql import boards, filled, panels

BOARDS = boards()
BY_UID = {board["uid"]: board for board in BOARDS.values()}
ADDRESS = re.compile(r"/d/([\w-]+)(?:\?(.*))?")
SET = re.compile(r"var-(\w+)=")
CARRIED = re.compile(r"\$\{(\w+):queryparam\}")
GRAFANAS_OWN = {"__url_time_range", "__data", "__field", "__all_variables"}
ONE_HOST = {"wattlas-server", "wattlas-accelerators"}

every_board = pytest.mark.parametrize("name", sorted(BOARDS))


@pytest.fixture(scope="module")
def rewritten():
    """What reads a dashboard with the SDK's own model, and writes it again."""
    with warnings.catch_warnings():  # the SDK would have us take its schema v2, for Grafana 13
        warnings.simplefilter("ignore", DeprecationWarning)
        encoder = importlib.import_module("grafana_foundation_sdk.cog.encoder")
        model = importlib.import_module("grafana_foundation_sdk.models.dashboard")
        importlib.import_module("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    return lambda board: json.loads(encoder.JSONEncoder().encode(model.Dashboard.from_json(board)))


def variables(board):
    return {v["name"]: v for v in board["templating"]["list"]}


def addresses(thing):
    """Yield every address below /d/, wherever in a dashboard it is."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key == "url" and isinstance(value, str):
                yield value
            else:
                yield from addresses(value)
    elif isinstance(thing, list):
        for one in thing:
            yield from addresses(one)


def overlap(one, other):
    a, b = one["gridPos"], other["gridPos"]
    return (
        a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    )


def test_there_are_six_each_found_at_an_address_of_its_own():
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        name: f"wattlas-{name}"
        for name in ("fleet", "site", "server", "accelerators", "lifecycle", "quality")
    }


@every_board
def test_ids_are_unique(name):
    ids = [panel["id"] for panel in panels(BOARDS[name], rows=True)]
    assert len(ids) == len(set(ids))


def test_ids_stay_when_panels_come_and_go():
    """They are what people's links to a panel have: made of its title, not of its place."""
    found = {panel["title"]: panel["id"] for panel in panels(BOARDS["server"])}
    assert found["Power now"] == 917904  # its CRC-32 is 0xa10bfecf = 2701917903


@every_board
def test_every_row_has_panels(name):
    rows = BOARDS[name]["panels"]
    assert rows[0]["type"] == "row"
    for row, after in zip(rows, [*rows[1:], {"type": "row"}], strict=True):
        if row["type"] == "row":
            assert row.get("panels") if row["collapsed"] else after["type"] != "row", row["title"]


@every_board
def test_panels_lie_side_by_side_and_not_on_each_other(name):
    shown = BOARDS[name]["panels"]
    for group in [shown, *(row.get("panels") or [] for row in shown if row["type"] == "row")]:
        for number, panel in enumerate(group):
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
            for other in group[number + 1 :]:
                assert not overlap(panel, other), (panel["title"], other["title"])


@every_board
def test_lines_of_panels_are_filled_to_their_whole_width(name):
    """A hole looks like a panel that failed to load."""
    shown = BOARDS[name]["panels"]
    for group in [shown, *(row.get("panels") or [] for row in shown if row["type"] == "row")]:
        lines = {}
        for panel in group:
            lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"]["w"])
        assert set(map(sum, lines.values())) <= {24}, lines


@every_board
def test_links_lead_to_dashboards_that_have_the_variables(name):
    board, found = BOARDS[name], 0
    for address in addresses({"panels": board["panels"], "links": board["links"]}):
        match = ADDRESS.fullmatch(address)
        if match is None:
            assert address.startswith("https://"), address
            continue
        found += 1
        target = BY_UID[match[1]]
        carried = set(CARRIED.findall(match[2] or ""))
        assert carried <= set(variables(board)), address
        assert carried | set(SET.findall(match[2] or "")) <= set(variables(target)), address
    assert found >= 5


@every_board
def test_a_link_down_to_one_host_does_not_say_all_hosts(name):
    """Grafana takes $__all for a host's name where a variable has no All."""
    for link in BOARDS[name]["links"]:
        target = ADDRESS.fullmatch(link["url"])[1]
        if target in ONE_HOST:
            assert not link["includeVars"]
            carries_host = "host" in CARRIED.findall(link["url"])
            assert carries_host == (BOARDS[name]["uid"] in ONE_HOST)


@every_board
def test_only_variables_that_are_there_are_used(name):
    board = BOARDS[name]
    known = set(variables(board)) | GRAFANAS_OWN | {"__rate_interval", "__interval", "__range"}
    for panel in panels(board):
        for target in panel["targets"]:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"1", "__range_s"}
            assert used <= known, (panel["title"], used - known)
            for variable in used & set(variables(board)):
                assert f'=~"${variable}"' in target["expr"], panel["title"]


@every_board
def test_variables_that_show_one_host_have_no_all(name):
    host = variables(BOARDS[name])["host"]
    if BOARDS[name]["uid"] in ONE_HOST:
        assert not host.get("multi")
        assert not host.get("includeAll")
    else:
        assert host["includeAll"]


@every_board
def test_a_table_s_links_have_the_fields_that_they_need(name):
    """What a link takes from its row must be among the columns, hidden or not."""
    for panel in panels(BOARDS[name]):
        if panel["type"] != "table":
            continue
        organize = next(t for t in panel["transformations"] if t["id"] == "organize")["options"]
        for address in addresses(panel["fieldConfig"]):
            for field in re.findall(r"\$\{__data\.fields\.(\w+)\}", address):
                assert field in organize["renameByName"], (panel["title"], field)
                assert not organize["excludeByName"].get(field), (panel["title"], field)


@every_board
def test_overrides_are_of_columns_that_a_table_has(name):
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table":
            organize = next(t for t in panel["transformations"] if t["id"] == "organize")["options"]
            headings = set(organize["renameByName"].values())
            named = {
                override["matcher"]["options"]
                for override in panel["fieldConfig"].get("overrides", ())
                if override["matcher"]["id"] == "byName"
            }
            assert named <= headings, (panel["title"], named - headings)


@every_board
def test_a_table_of_one_query_calls_its_value_as_grafana_does(name):
    """Grafana 10 to 13: "Value" where one query answers, "Value #A" where several do."""
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table" and len(panel["targets"]) == 1:
            organize = next(t for t in panel["transformations"] if t["id"] == "organize")["options"]
            assert "Value #A" not in organize["renameByName"], panel["title"]


@every_board
def test_columns_of_a_table_are_joined_by_labels_and_not_by_names(name):
    """Grafana joins rows that agree in all labels, a metric's name among them.

    What aggregates or reckons has no name any more; a bare selector, `and` and topk keep it.
    """
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table" and len(panel["targets"]) > 1:
            for target in panel["targets"]:
                assert not keeps_name(promql_parser.parse(filled(target["expr"]))), panel["title"]


def keeps_name(node):
    match type(node).__name__:
        case "VectorSelector":
            return True
        case "ParenExpr":
            return keeps_name(node.expr)
        case "AggregateExpr":
            return str(node.op) in {"topk", "bottomk"} and keeps_name(node.expr)
        case "BinaryExpr":
            if str(node.op) in {"and", "unless", "or"} or is_comparison(node):
                return keeps_name(node.lhs) or (str(node.op) == "or" and keeps_name(node.rhs))
            return False
        case "Call":
            return node.func.name in {"last_over_time", "label_replace", "label_join"} and any(
                keeps_name(argument) for argument in node.args
            )
        case "MatrixSelector":
            return True
        case _:
            return False


def is_comparison(node):
    modifier = node.modifier
    return str(node.op) in {">", "<", ">=", "<=", "==", "!="} and not (
        modifier and modifier.return_bool
    )


@pytest.mark.parametrize(
    ("expression", "keeps"),
    [
        ("up", True),
        ("up and on (job) down", True),
        ("topk(3, up)", True),
        ("last_over_time(up[1h])", True),
        ("up > 1", True),
        ("1 * up", False),
        ("1 * up and on (job) down", False),
        ("max by (job) (up)", False),
        ("up > bool 1", False),
        ("rate(up[1m])", False),
        ("(rate(up[1m]) or up)", True),
    ],
)
def test_we_know_what_keeps_a_name(expression, keeps):
    assert keeps_name(promql_parser.parse(expression)) is keeps


@every_board
def test_the_sdk_s_own_model_reads_it_and_writes_the_same(name, rewritten):
    assert without_placement(rewritten(BOARDS[name])) == BOARDS[name]


def without_placement(thing):
    """Take out what the SDK 0.0.21 gives every link and annotation, also where there was none."""
    if isinstance(thing, dict):
        theirs = ("placement", "inControlsMenu")
        return {k: without_placement(v) for k, v in thing.items() if (k, v) != theirs}
    return [without_placement(one) for one in thing] if isinstance(thing, list) else thing
