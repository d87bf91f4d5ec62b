//! Machine configuration, as Talos has it: which extensions, from where.
