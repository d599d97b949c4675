"""The ``shape`` kind: from one section image of a cell and its mask to the forms that the cell may have."""
