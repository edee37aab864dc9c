"""Grafana's names of the units that the dashboards use."""

PER_SECOND = "ops"
SECONDS = "s"
SHARE = "percentunit"  # 1 is 100 %
COUNT = "short"
BYTES = "bytes"
