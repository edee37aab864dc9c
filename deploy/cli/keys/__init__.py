"""`valet keys`: master keys, and the steps of their rotation."""
