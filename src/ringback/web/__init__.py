"""The HTTP server: routes, handlers, answers."""
