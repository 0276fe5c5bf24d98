"""Many runs as one: which jobs a sweep has, what state each is in, and how they are brought to their ends."""
