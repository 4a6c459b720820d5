"""How a ledger is proved: hours bound to each other by hash, signed, compared, handed over.

canonical: values as bytes. record: one link of the chain. body: what an hour's record says. walk:
the chain from its first record to its last. seals, signer, keys: signatures. compare: tables
against the chain. verdict: what was found; telling: of the whole. times, ledger: a ledger.db is
checked. schema, rows, files, manifest: what is handed over. export: it is made; handed: it is
checked.
"""
