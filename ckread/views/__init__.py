"""Results to rich renderables, JSON documents and figures; nothing is printed here."""
