"""The YAML file: load it with positions, type it, check it, watch it."""
