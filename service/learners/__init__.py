"""The learners that this process holds in memory, their checkpoints, and the compilation of their kernels.

Open `cache.py` first: it loads a learner from the store and keeps it at the head of its stream.
"""
