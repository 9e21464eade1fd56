//! Project files as trees with positions: YAML, schema, diagnostics with suggestions
