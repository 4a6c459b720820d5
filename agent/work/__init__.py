"""Work done: floating-point operations, tokens, requests, and what energy they took. Pure."""
