//! From a folder of extensions to layers, extensions.yaml and one archive.
