"""More than one machine: the same cases on a Dask cluster, a worker for each hardware target.

The parent (`parent.py`) plans, exports, and asks workers (`crew.py`, `station.py`) for one case at a time; `book.py` is
what it knows of the cases, `record.py` what it keeps, `link.py` all that it has of Dask.
"""
