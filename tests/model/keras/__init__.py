"""Names of Keras files."""
