"""Tasks and traffic for `--demo`: jobs that complete, retry, die and come back."""
