"""Network that completes a begun fit, or the linear answer, of a cell where the light did not see it."""
