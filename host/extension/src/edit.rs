//! Changing a machine configuration without touching the rest of it.
