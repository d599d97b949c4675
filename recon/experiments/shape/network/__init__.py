"""Network of the ``shape`` experiment: from a picture and its mask to draws of the cell's shape."""
