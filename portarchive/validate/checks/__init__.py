"""The checks, one module a matter. Each takes the run and reports what it finds there."""
