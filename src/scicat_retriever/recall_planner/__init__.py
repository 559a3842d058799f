"""The recall planner: what one long-term store is asked for, in which order and when.

`planner` decides, from `requests` and their policy; `bundles`, `sessions`, `round`, `turns` are how; `rates`
and `outlook` say how long it will take. All of it is pure: no clock, no ledger, no store.
"""
