//! Integration tests of Tickhost.
