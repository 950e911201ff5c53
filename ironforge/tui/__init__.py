"""The terminal console. Speaks HTTP only; importing this package loads nothing heavy."""
