"""The network of the ``shape`` kind: from a picture and its mask to the shapes that could have made them."""
