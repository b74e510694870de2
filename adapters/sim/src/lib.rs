//! A synthetic exchange as a Tickhost adapter.
