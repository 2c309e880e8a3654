"""Tables of finished runs, and verdicts on claims."""
