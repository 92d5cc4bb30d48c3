"""streamd makes a machine match one YAML file of streams, keys and targets."""

from importlib.metadata import version

__version__ = version("streamd")
