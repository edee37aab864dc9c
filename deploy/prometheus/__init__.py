"""What Prometheus scrapes, and the rules it evaluates."""
