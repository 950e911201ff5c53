"""The views behind the keys 1 to 4, and one job."""
