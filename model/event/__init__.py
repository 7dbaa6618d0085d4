"""One event in order: predict, score, learn; and forecasts of many steps."""
