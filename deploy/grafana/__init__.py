"""Valet's dashboards for Grafana, in Python; `python -m deploy.grafana` writes them out. See README.md."""
