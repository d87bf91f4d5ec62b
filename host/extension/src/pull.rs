//! Fetching images and unpacking them into a folder of extensions.
