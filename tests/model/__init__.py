"""The scripts against a model: random transitions, the whole state compared and every invariant checked after each."""
