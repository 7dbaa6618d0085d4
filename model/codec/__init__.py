"""A learner as bytes and back, in the current and in older formats."""
