"""Estimators of the gradient of the recurrent weights: NoBackTrack, UORO, own-unit traces, exact RTRL; and the step."""
