"""Numbers of a specimen that need no truth: its surface, and features of one shape."""
