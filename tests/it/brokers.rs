//! Adapters of real brokers, in the real host, at simulated brokers that speak the real protocols.

mod gone;
mod limits;
mod nights;
mod values;
