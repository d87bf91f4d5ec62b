//! Everything that is wrong with an extension, at once.
