"""`streamd doctor`: looks at the machine, and says what is wrong with it and what to do."""
