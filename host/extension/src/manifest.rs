//! manifest.yaml: what an extension says of itself.
