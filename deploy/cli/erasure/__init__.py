"""`valet erase`, `erasures` and `receipt`: a person is forgotten, and what proves it."""
