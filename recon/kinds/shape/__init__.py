"""The ``shape`` kind: from one picture of a cell and its mask to the 3D shapes that could have made them."""
