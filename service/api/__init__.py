"""The ASGI application: routes, middleware, error answers and the OpenAPI document. It translates and decides nothing.

Open `app.py` first: it builds the application from settings and a store.
"""
