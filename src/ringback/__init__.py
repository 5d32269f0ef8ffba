"""Ringback keeps the call history of ordinary mobile phones on a server of one's own."""

__version__ = "0.1.0"
