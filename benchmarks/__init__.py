"""The bars of performance.md, measured: `python -m benchmarks`.

Everything is a ratio of two things that took turns in one run; absolute times belong to the machine of the day.
A Python compiled without profile-guided optimisation, as pyenv does it, is about a fifth slower in its own part of the
verification than Debian's (measured): some of a missed bar can be the interpreter's.
"""
