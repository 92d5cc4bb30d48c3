"""The archive's log: lines `level message` on stderr, for an operator."""

from streamd.playout.log import Say, say

__all__ = ["Say", "say"]
