"""Is it good enough for one use, and what if things change: pure functions over measurements, GAP sections 6 and 8."""
