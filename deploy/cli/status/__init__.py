"""`valet status`: one screen that says how Valet is."""
