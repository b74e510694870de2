//! Adapters of real brokers, in the real host, at simulated brokers that speak the real protocols.

mod families;
mod gone;
mod limits;
mod nights;
mod values;
