//! Integration tests: the real binary, the real library of the synthetic exchange, real sockets.

#![allow(missing_docs, reason = "the names of the tests say what they are")]

mod accounts;
mod bus;
mod clients;
mod faults;
mod hostile;
mod lifecycle;
mod limits;
mod protocol;
mod slow_client;
