"""streamd makes a machine match one YAML file of streams, keys and targets."""
