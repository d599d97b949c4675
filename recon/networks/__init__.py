"""Networks: their layers, and the file that holds one."""
