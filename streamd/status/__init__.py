"""What people see of streamd at run time; nothing can be changed through it."""
