"""What reports are made of, gathered from a ledger, CSV files and any PromQL engine.

period: from when to when. source: what all of them give. files: CSV files. polled: a ledger.
engine: one PromQL engine over HTTP. fleet_queries, fleet: the sum of the agents. counters: a site's
meters. prometheus: all of an engine. missing: whose fault a hole is.
"""
