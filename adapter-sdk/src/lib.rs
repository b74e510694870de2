//! What an author needs to write a Tickhost adapter.
