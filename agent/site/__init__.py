"""A site's meters: their vocabulary, settings, and what they have measured over any period. Pure.

words, units: the vocabulary. settings: `[site]`; checks: what its types cannot say. table: a CSV
file's rows, with moments (dates) and amounts (numbers); records: which of them count. cells: a
meter's figures over time, and the time that several have in common. book: readings of polled
meters into amounts by quarter of an hour. virtual: sums and differences of meters.
"""
