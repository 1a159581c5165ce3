"""How variables moved."""
