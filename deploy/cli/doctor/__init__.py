"""`valet doctor`: many small checks at once, each with a name, a verdict and an advice."""
