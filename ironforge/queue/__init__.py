"""Every Redis key and every state change. The only package, beside `embedded`, that speaks to Redis."""
