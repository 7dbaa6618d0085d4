"""Metrics, log lines, traces, and how well each stream was predicted lately.

Open `metrics.py` first: it declares every metric of the service.
"""
