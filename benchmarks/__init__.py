"""The bars of performance.md, measured: `python -m benchmarks`.

Everything is a ratio of two things that took turns in one run; absolute times belong to the machine of the day.
"""
