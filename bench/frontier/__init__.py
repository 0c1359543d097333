"""The gap between open and closed models on one benchmark: pure functions over frames, GAP sections 2, 4 and 5."""
