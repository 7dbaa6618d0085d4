"""Arithmetic that gives the same bits on every machine: elementary functions, random signs, scaling, step sizes,
passes."""
