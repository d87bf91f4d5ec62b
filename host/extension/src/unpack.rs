//! Unpacking image layers into a folder, whatever the archives say.
