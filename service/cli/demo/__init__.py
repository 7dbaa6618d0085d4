"""`nobacktrack demo`: starts a service, feeds it a live series and draws what it predicts in the terminal.

Open `run.py` first; `sources.py` and `daily.py` make the series, `screen.py` draws.
"""
