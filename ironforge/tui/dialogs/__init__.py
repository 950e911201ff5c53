"""What lies over a view and asks something."""
