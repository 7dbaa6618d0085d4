"""Prediction intervals and the anomaly score, from the newest absolute errors."""
