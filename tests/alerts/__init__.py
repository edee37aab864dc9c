"""Prometheus' rules and alerts, and the runbooks that go with them."""
