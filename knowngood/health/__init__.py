"""Health judgement: watches, measurements, KPIs and policies.

Everything that decides is pure and takes the time as an argument; only `watches.py` and
`signals.py` know Redis.
"""
