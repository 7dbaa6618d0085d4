"""`nobacktrack replay`: sends the rows of a CSV file through a service and reports how well they were predicted.

Open `replay.py` first; `csv_events.py` reads the file, `report.py` writes the page of `--report`.
"""
