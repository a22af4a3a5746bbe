"""A report -> terminal, JSON, CSV, Markdown. Nothing is computed here but where things stand."""
