"""The files of the live page at `/` and of the report of `nobacktrack replay --report`.

Open `assets.py` first: it reads the files of `static/` and gives each an ETag.
"""
