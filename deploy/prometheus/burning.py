"""From objectives to rules: what Sloth writes of the same file, so that its dashboards and ours fit.

Two things differ. The ratio of events over the period is taken from the events themselves (Sloth's `--disable-optimized-rules`): an
average of five-minute ratios, which is right for shares of time, gives one event of a quiet night the weight of a busy hour. And an
alert on events wants a few bad ones (`fewest`), see https://sre.google/workbook/alerting-on-slos/#low-traffic-services-and-error-budget-alerting.

With no event in a window its ratio is absent, neither good nor bad. Windows and burn rates: table 5-8 of the SRE workbook,
https://sre.google/workbook/alerting-on-slos/#recommended_time_windows_and_burn_rates_f, for a period of 30 days.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from deploy.prometheus.objectives import WINDOW, Objective, Objectives, Urgency

Rule = dict[str, object]
Group = dict[str, object]

WINDOWS: Final[Mapping[str, int]] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "6h": 21_600,
    "1d": 86_400,
    "3d": 259_200,
    "30d": 2_592_000,
}
"""Seconds of each window; the last is the period."""
PERIOD: Final = "30d"


class Burn(NamedTuple):
    """So fast over both windows: the long one says that it matters, the short one that it still goes on."""

    short: str
    long: str
    rate: float


PAGE: Final = (Burn("5m", "1h", 14.4), Burn("30m", "6h", 6))
"""2 % of the budget in an hour, 5 % in six."""
TICKET: Final = (Burn("2h", "1d", 3), Burn("6h", "3d", 1))
"""10 % in a day, 10 % in three."""


def groups(objectives: Objectives, fewest: int) -> list[Group]:
    """Three groups for each objective: ratios, what dashboards need beside them, alerts."""
    return [group for one in objectives.slos for group in _groups(objectives, one, fewest)]


def _groups(objectives: Objectives, one: Objective, fewest: int) -> Iterator[Group]:
    identity = f"{objectives.service}-{one.name}"
    labels = {"sloth_id": identity, "sloth_service": objectives.service, "sloth_slo": one.name}
    named = {**objectives.labels, **one.labels, **labels}
    yield _group("sloth-slo-sli-recordings", identity, _ratios(one, named))
    yield _group("sloth-slo-meta-recordings", identity, _about(one, named))
    alerts = list(_alerts(one, fewest, _selector(labels)))
    if alerts:
        yield _group("sloth-slo-alerts", identity, alerts)


def _group(kind: str, identity: str, rules: Sequence[Rule]) -> Group:
    return {"name": f"{kind}-{identity}", "rules": list(rules)}


def _ratios(one: Objective, labels: Mapping[str, str]) -> list[Rule]:
    return [
        _record(f"slo:sli_error:ratio_rate{window}", _ratio(one, window, labels), {**labels, "sloth_window": window})
        for window in WINDOWS
    ]


def _ratio(one: Objective, window: str, labels: Mapping[str, str]) -> str:
    if one.sli.events is not None:
        bad, all_ = one.sli.events.error_query, one.sli.events.total_query
        return _over(f"(\n{bad}\n)\n/\n(({all_}) > 0)", window)
    if window == PERIOD:
        every = f"slo:sli_error:ratio_rate5m{_selector(labels)}[{PERIOD}]"
        return f"sum_over_time({every})\n/ ignoring (sloth_window)\ncount_over_time({every})"
    return _over(one.sli.raw.error_ratio_query if one.sli.raw else "", window)


def _over(query: str, window: str) -> str:
    return query.replace(WINDOW, window)


def _about(one: Objective, labels: dict[str, str]) -> list[Rule]:
    chosen = _selector({name: text for name, text in labels.items() if name.startswith("sloth_")})
    budget = f"/ on(sloth_id, sloth_slo, sloth_service) group_left\nslo:error_budget:ratio{chosen}"
    expressions = {
        "slo:objective:ratio": f"vector({round(1 - one.budget, 12)})",
        "slo:error_budget:ratio": f"vector({one.budget})",
        "slo:time_period:days": f"vector({WINDOWS[PERIOD] // 86_400})",
        "slo:current_burn_rate:ratio": f"slo:sli_error:ratio_rate5m{chosen}\n{budget}",
        "slo:period_burn_rate:ratio": f"slo:sli_error:ratio_rate{PERIOD}{chosen}\n{budget}",
        "slo:period_error_budget_remaining:ratio": f"1 - slo:period_burn_rate:ratio{chosen}",
    }
    info = {"sloth_objective": f"{one.objective:g}", "sloth_spec": "prometheus/v1", "sloth_mode": "valet"}
    rules = [_record(name, expression, labels) for name, expression in expressions.items()]
    return [*rules, _record("sloth_slo_info", "vector(1)", {**labels, **info})]


def _alerts(one: Objective, fewest: int, chosen: str) -> Iterator[Rule]:
    alerting = one.alerting
    for severity, urgency, burns in (("page", alerting.page_alert, PAGE), ("ticket", alerting.ticket_alert, TICKET)):
        if not urgency.disable:
            expression = "\nor\n".join(_burning(one, burn, fewest, chosen) for burn in burns)
            yield _alert(one, urgency, severity, expression)


def _alert(one: Objective, urgency: Urgency, severity: str, expression: str) -> Rule:
    title = (
        f"({severity}) {{{{$labels.sloth_service}}}} {{{{$labels.sloth_slo}}}} SLO error budget burn rate is too fast."
    )
    return {
        "alert": one.alerting.name,
        "expr": expression,
        "labels": {**one.alerting.labels, **urgency.labels, "sloth_severity": severity},
        "annotations": {"title": title, **one.alerting.annotations, **urgency.annotations},
    }


def _burning(one: Objective, burn: Burn, fewest: int, chosen: str) -> str:
    both = "\n    and\n".join(_above(window, burn.rate, one.budget, chosen) for window in (burn.short, burn.long))
    return f"(\n{both}{_enough(one, burn.long, fewest)}\n)"


def _above(window: str, rate: float, budget: float, chosen: str) -> str:
    return f"    max(slo:sli_error:ratio_rate{window}{chosen} > ({rate:g} * {budget})) without (sloth_window)"


def _enough(one: Objective, window: str, fewest: int) -> str:
    """Half an event is taken off: `rate` extrapolates to the ends of the window."""
    if one.sli.events is None:
        return ""
    bad = " ".join(_over(one.sli.events.error_query, window).split())
    return f"\n    and on ()\n    ({bad}) * {WINDOWS[window]} > {fewest - 0.5:g}"


def _record(name: str, expression: str, labels: Mapping[str, str]) -> Rule:
    return {"record": name, "expr": expression, "labels": dict(labels)}


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in labels.items()) + "}"
