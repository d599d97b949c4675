"""How a specimen makes a measurement: pure functions of arrays, and small frozen descriptions of instruments."""
