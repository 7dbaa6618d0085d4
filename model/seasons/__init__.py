"""Features of an event's time: interval, phase of each season, and the usual change at that phase."""
