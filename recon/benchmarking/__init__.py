"""Time of hot functions against that of the least work in them: transforms, matrix products, memory traffic."""
