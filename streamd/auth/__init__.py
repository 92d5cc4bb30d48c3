"""Who may publish, the endpoint that media servers ask, and what is remembered of it."""
