"""The answer of a PromQL engine to an instant query, as one number.

Format: prometheus.io/docs/prometheus/latest/querying/api ("Format overview", "Instant queries",
"Expression query result formats"); Thanos, Mimir and VictoriaMetrics answer alike.
"""

from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from agent.collector import Transient
from collectors.meter_json import number_of, shown

PATH: Final = "/api/v1/query"
MOST_IN_ADDRESS: Final = 1500
"""Letters of a query up to which it goes by GET."""
ERROR_STATUSES: Final = (400, 422, 503)
"""With these it says in JSON what was wrong."""
_WORDS: Final = {
    "bad_data": ("does not understand the query", "settings", "mend query"),
    "execution": ("cannot work out the query", "garbage", "try it in the server's own web page"),
    "timeout": ("took too long over the query", "timeout", "make it simpler: a recording rule"),
    "canceled": ("gave the query up", "timeout", "make it simpler: a recording rule"),
    "unavailable": ("is not ready", "http", "wait, or look at that server's log"),
    "internal": ("had a fault of its own", "http", "look at that server's log"),
}


def query_request(
    url: str, query: str, timeout_seconds: float
) -> tuple[str, dict[str, str] | None]:
    """Return address and form of an instant query to the server at `url`.

    `url` may have the query's path or not. Without a form it is a GET, which more proxies let
    pass; one too long for an address is a POST.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith(PATH):
        path += PATH
    form = {"query": query, "timeout": f"{max(1, int(timeout_seconds * 1000))}ms"}
    if len(query) > MOST_IN_ADDRESS:
        return urlunsplit(parts._replace(path=path)), form
    asked = "&".join(filter(None, [parts.query, urlencode(form)]))
    return urlunsplit(parts._replace(path=path, query=asked)), None


def value_of(document: Any, where: str) -> float:
    """Return the one number of an answer, which may be NaN. Raises `Transient`."""
    if not isinstance(document, dict) or document.get("status") not in {"success", "error"}:
        raise _no_answer(where, "answers in JSON, but not as a PromQL server does")
    if document["status"] == "error":
        kind = str(document.get("errorType", ""))
        words, reason, remedy = _WORDS.get(
            kind, (f"reports an error {kind!r}", "http", "look at that server's log")
        )
        said = str(document.get("error", "")).strip()[:300]
        raise Transient(f"{where} {words}{f': {said}' if said else ''}", reason, remedy)
    _refuse_parts(document, where)
    data = document.get("data")
    has: dict[str, Any] = data if isinstance(data, dict) else {}
    result_type, result = has.get("resultType"), has.get("result")
    if not isinstance(result, list) or result_type not in {"vector", "scalar"}:
        if result_type in {"matrix", "string"}:
            raise Transient(
                f"the query gives a {'range' if result_type == 'matrix' else 'text'}, not one"
                " number",
                "settings",
                "take the [range] off, or put a function such as rate() or last_over_time() on it",
            )
        raise _no_answer(where, "answers in JSON, but without a result")
    if result_type == "scalar":
        return _number(result, where)
    if len(result) != 1:
        raise _not_one(result, where)
    (series,) = result
    if not isinstance(series, dict) or "value" not in series:
        if isinstance(series, dict) and "histogram" in series:
            raise Transient("the query gives a histogram", "settings", "use histogram_sum()")
        raise _no_answer(where, "answers with a series that has no value")
    return _number(series["value"], where)


def _refuse_parts(document: dict[str, Any], where: str) -> None:
    """Raise `Transient` where something is missing: a part of a sum must not pass for it."""
    warnings = document.get("warnings")
    if document.get("isPartial") is True:
        warnings = ["the answer is partial", *(warnings if isinstance(warnings, list) else ())]
    if warnings and isinstance(warnings, list):
        raise Transient(
            f"{where} warns: {str(warnings[0])[:300]}: the value may lack a part and is not taken",
            "partial",
            "look at that server: a store of it may be away",
        )


def _not_one(result: list[Any], where: str) -> Transient:
    if not result:
        return Transient(
            f"{where}: the query gives nothing now",
            "nothing",
            "look whether what it asks for is scraped (up), and at the query",
        )
    names = [shown_labels(s.get("metric", {})) for s in result[:2] if isinstance(s, dict)]
    return Transient(
        f"{where}: the query gives {len(result)} series, e.g. {' and '.join(names)}",
        "many",
        "narrow it down to one, or put sum() around it",
    )


def shown_labels(labels: Any) -> str:
    """Return labels as a message may show them."""
    if not isinstance(labels, dict):
        return shown(labels)
    inner = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"[:200]


def _number(pair: Any, where: str) -> float:
    """Return the value of a pair of time and value; NaN and Inf are what Go writes."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
        raise _no_answer(where, "answers with a value of an unknown form")
    if pair[1] in {"NaN", "+Inf", "-Inf"}:
        raise Transient(
            f"{where}: the query gives {pair[1]}, no number",
            "nothing",
            "look whether it divides by 0, and whether its series have values now",
        )
    try:
        return number_of(pair[1])
    except ValueError as error:
        raise _no_answer(where, f"answers with a value that {error}") from None


def _no_answer(where: str, what: str) -> Transient:
    return Transient(f"{where} {what}", "garbage", "look whether url is a PromQL server's")
