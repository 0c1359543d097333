"""Are open weights good enough for my use yet, what do they cost, how fast are they, where should they run?"""

__version__ = "0.1.0"
