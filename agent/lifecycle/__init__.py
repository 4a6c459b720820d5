"""The rest of a machine's life: what it took to make, bring and end it, by stage. Pure."""
