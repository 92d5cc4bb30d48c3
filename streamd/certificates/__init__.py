"""Certificates: obtained from an authority and renewed, or the operator's own; always served."""
