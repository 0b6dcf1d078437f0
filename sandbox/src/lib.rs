//! What the kernel is asked to forbid: capabilities, seccomp, Landlock, limits, locked memory, peer credentials
