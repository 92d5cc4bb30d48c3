"""The version of streamd. A module of its own, because reading it costs every process 50 ms."""

from importlib.metadata import version

__version__ = version("streamd")
