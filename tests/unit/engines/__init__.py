"""Tests of `streamd.engines`, without a media server."""
