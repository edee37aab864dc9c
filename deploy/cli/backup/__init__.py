"""`valet backup` and `restore`: all that Valet stores in one file, and back without undoing an erasure."""
