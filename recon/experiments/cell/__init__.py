"""Cell: from a microscope's images to the refractive index of a cell."""
