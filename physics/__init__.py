"""Physics of the measurements: pure functions of arrays, and small frozen descriptions of instruments."""
