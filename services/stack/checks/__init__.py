"""What `tickrouter check` looks at, with reads only."""
