"""Runs jobs: a supervisor that holds leases, and children that claim, run and settle."""
