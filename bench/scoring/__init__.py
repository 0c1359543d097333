"""Scorers: total functions from a reply to a grade. They never raise, never need the network, and end quickly."""
