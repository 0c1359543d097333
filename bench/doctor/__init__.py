"""Looks before anyone leaps: is this machine, this key, this endpoint able to give a number that can be trusted?"""

from bench.doctor.examine import targets
from bench.doctor.findings import BLOCK, Finding
from bench.doctor.here import machine

__all__ = ["BLOCK", "Finding", "machine", "targets"]
