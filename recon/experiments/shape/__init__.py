"""Shape: from one picture of a cell's section and its mask to the 3D shapes that it may have."""
