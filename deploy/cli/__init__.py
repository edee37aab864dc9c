"""`valet`, the operator's command."""
