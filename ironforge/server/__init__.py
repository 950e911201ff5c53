"""The REST server: routes that validate and call the queue once, problems in one place, one poller for all listeners."""
