"""NoBackTrack: an online-learning service for time series."""
