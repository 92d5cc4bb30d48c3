"""Tell other people's servers what happens: who may publish, what began, what ended."""
