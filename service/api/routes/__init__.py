"""The routes of the application, one module a subject. Each translates a request into a call of `service/streams`.

Open `events.py` first: it takes events and labels.
"""
