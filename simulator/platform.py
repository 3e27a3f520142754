"""The public Platform API's dialect over the same org."""

from simulator.wire import Route

ROUTES: list[Route] = []
