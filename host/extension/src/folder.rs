//! A folder of unpacked extensions, in the order of the configuration.
