"""The phone agent: reads Android's call log through Termux:API and brings it to a Ringback server.

Python's standard library alone, Python 3.9 or newer; nothing of the server is imported.
"""

VERSION = "0.1.0"
