"""The messages of remote write as the protobuf library reads them, for judging what we write.

Fields and numbers from the published definitions, prometheus/prometheus (Apache-2.0):
prompb/types.proto and remote.proto (1.0), prompb/io/prometheus/write/v2/types.proto (2.0). What
Wattlas does not send (histograms, exemplars) is left out.
"""

from typing import Any, Final

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES: Final = descriptor_pb2.FieldDescriptorProto
_MANY, _ONE = _TYPES.LABEL_REPEATED, _TYPES.LABEL_OPTIONAL
STRING, DOUBLE, INT64, UINT32 = (
    _TYPES.TYPE_STRING,
    _TYPES.TYPE_DOUBLE,
    _TYPES.TYPE_INT64,
    _TYPES.TYPE_UINT32,
)
V1 = {
    "Sample": [("value", 1, _ONE, DOUBLE), ("timestamp", 2, _ONE, INT64)],
    "Label": [("name", 1, _ONE, STRING), ("value", 2, _ONE, STRING)],
    "TimeSeries": [("labels", 1, _MANY, "Label"), ("samples", 2, _MANY, "Sample")],
    "WriteRequest": [("timeseries", 1, _MANY, "TimeSeries")],
}
V2 = {
    "Sample": [("value", 1, _ONE, DOUBLE), ("timestamp", 2, _ONE, INT64)],
    "Metadata": [
        ("type", 1, _ONE, "MetricType"),
        ("help_ref", 3, _ONE, UINT32),
        ("unit_ref", 4, _ONE, UINT32),
    ],
    "TimeSeries": [
        ("labels_refs", 1, _MANY, UINT32),
        ("samples", 2, _MANY, "Sample"),
        ("metadata", 5, _ONE, "Metadata"),
        ("created_timestamp", 6, _ONE, INT64),
    ],
    "Request": [("symbols", 4, _MANY, STRING), ("timeseries", 5, _MANY, "TimeSeries")],
}
METRIC_TYPES = (
    "UNSPECIFIED",
    "COUNTER",
    "GAUGE",
    "HISTOGRAM",
    "GAUGEHISTOGRAM",
    "SUMMARY",
    "INFO",
    "STATESET",
)


def _messages(package: str, messages: dict[str, list[tuple[str, int, int, Any]]]) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind in fields:
            added = message.field.add(name=field, number=number, label=label)
            if kind == "MetricType":
                added.type, added.type_name = _TYPES.TYPE_ENUM, f".{package}.Metadata.MetricType"
                enum = message.enum_type.add(name="MetricType")
                for value, word in enumerate(METRIC_TYPES):
                    enum.value.add(name=f"METRIC_TYPE_{word}", number=value)
            elif isinstance(kind, str):
                added.type, added.type_name = _TYPES.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


WriteRequest: Any = _messages("prometheus", V1)["prometheus.WriteRequest"]
Request: Any = _messages("io.prometheus.write.v2", V2)["io.prometheus.write.v2.Request"]

Series = tuple[tuple[str, str], ...]
"""Names and values, in the order in which they came."""


def read(body: bytes, content_type: str) -> dict[Series, list[tuple[int, float]]]:
    """Return the samples of a request: Unix ms and value. Raises what the libraries raise."""
    message = bytes(cramjam.snappy.decompress_raw(body))
    rows: dict[Series, list[tuple[int, float]]] = {}
    if content_type == "application/x-protobuf":
        whole = WriteRequest.FromString(message)
        assert not _unknown(whole)
        for one in whole.timeseries:
            labels = tuple((label.name, label.value) for label in one.labels)
            rows.setdefault(labels, []).extend((s.timestamp, s.value) for s in one.samples)
        return rows
    assert content_type == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    whole = Request.FromString(message)
    assert not _unknown(whole)
    assert whole.symbols[0] == ""
    assert len(set(whole.symbols)) == len(whole.symbols)
    for one in whole.timeseries:
        words = [whole.symbols[reference] for reference in one.labels_refs]
        labels = tuple(zip(words[::2], words[1::2], strict=True))
        rows.setdefault(labels, []).extend((s.timestamp, s.value) for s in one.samples)
    return rows


def _unknown(message: Any) -> bool:
    """Tell whether the library met fields that it does not know."""
    copy = type(message).FromString(message.SerializeToString())
    copy.DiscardUnknownFields()
    return bool(copy.SerializeToString() != message.SerializeToString())
