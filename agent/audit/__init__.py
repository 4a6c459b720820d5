"""How a ledger is proved: hours bound to each other by hash, signed, compared, handed over.

canonical: values as bytes. record: one link of the chain. body: what an hour's record says.
walk: the chain from its first record to its last. compare: tables against the chain. verdict: what
was found. signer, keys: signatures. ledger: a ledger.db is checked. schema, rows, manifest,
writing: what is handed over. export: such a directory is made; handed: it is checked.
"""
