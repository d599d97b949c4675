"""Network that completes the linear answer of a cell where the light did not see it."""
