"""Hypothesis strategies: random values of a struct from its own type, and damage done to a document."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from libs.contracts.events import TYPES, Event
from tests.contract.events.published import Json

INSTANTS = st.datetimes(
    # Schemas take no year before 1000; one day of room, so that no offset leads out of the calendar.
    min_value=datetime(1000, 1, 2),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=5,
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"$ne": None}, {"$gt": ""}, [], {}, "", "x" * 70_000, "ada@example.com", "2026-12-01T10:00:00", "2026-12-01",
        "2026-12-01T10:00:00+24:00", "2026-02-30T10:00:00Z", "2026-12-01t10:00:00.123456789z", "0999-12-01T10:00:00Z",
        "2026-12-01 10:00:00Z", "2026-12-01T10:00:00+0000", "2026-12-01T10:00:00Z\n", "a\n", "bk_" + "a" * 26 + "\n",
        "\x00", "\x85", "\ufeff", "é", "😀" * 200, "😀" * 201, "$where", 0, -1, 1, 1.0, 2**63, 2**64, True, None, "host-busy",
        "brand-new-reason", "Host-Busy", "google", "apple", "bk_" + "a" * 26,
    ]
)  # fmt: skip
PLACES = st.lists(st.integers(0, 7), min_size=1, max_size=3)


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as msgspec inspects it, as Python objects. Raises KeyError for a kind that events do not use yet."""
    return STRATEGIES[type(kind)](kind)


def _texts(kind: inspect.StrType) -> st.SearchStrategy[str]:
    least, most = kind.min_length or 0, kind.max_length or 200
    if kind.pattern is None:
        return st.text(min_size=least, max_size=min(most, 300))
    return st.from_regex(kind.pattern, fullmatch=True).map(lambda text: text[:most])


STRATEGIES: dict[type[inspect.Type], Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.BoolType: lambda _: st.booleans(),
    inspect.StrType: _texts,
    inspect.IntType: lambda kind: st.integers(kind.ge, 2**63 if kind.le is None else kind.le),
    inspect.DateTimeType: lambda kind: INSTANTS,
    inspect.LiteralType: lambda kind: st.sampled_from(kind.values),
    inspect.EnumType: lambda kind: st.sampled_from(list(kind.cls)),
    inspect.NoneType: lambda kind: st.none(),
    inspect.Metadata: lambda kind: of(kind.type),
    inspect.UnionType: lambda kind: st.one_of(*map(of, kind.types)),
    inspect.VarTupleType: lambda kind: st.lists(of(kind.item_type), max_size=4).map(tuple),
    inspect.DictType: lambda kind: st.dictionaries(of(kind.key_type), of(kind.value_type), max_size=4),
    inspect.StructType: lambda kind: st.builds(kind.cls, **{field.name: of(field.type) for field in kind.fields}),
}

ONE_OF = {"BookingRequested": ("invitee", "sealed"), "ErasureRequested": ("email", "sealed")}


def data(event_type: str) -> st.SearchStrategy[Event]:
    """Random data of an event type; exactly one of the fields of which a request gives exactly one."""
    kind = inspect.type_info(TYPES[event_type])
    values: st.SearchStrategy[Event] = of(kind)
    names = ONE_OF.get(TYPES[event_type].__name__)
    return values if names is None else values.filter(lambda d: sum(getattr(d, n) is not None for n in names) == 1)


DATA = st.sampled_from(sorted(TYPES)).flatmap(data)


@st.composite
def damaged(draw: st.DrawFn, documents: st.SearchStrategy[Json]) -> Json:
    """A JSON document with one thing dropped, added or replaced, somewhere."""
    document: Json = msgspec.json.decode(msgspec.json.encode(draw(documents)))
    target = _somewhere(document, draw(PLACES))
    key = draw(st.sampled_from(sorted(target)) | st.text(max_size=12)) if target else draw(st.text(max_size=12))
    if draw(st.booleans()) or key not in target:
        target[key] = draw(ODD | JSON)
    else:
        del target[key]
    return document


def _somewhere(document: Json, path: list[int]) -> Json:
    for step in path[1:]:
        inner = [value for value in document.values() if isinstance(value, dict)]
        if not inner:
            break
        document = inner[step % len(inner)]
    return document
