//! Adapters of real brokers, in the real host, at simulated brokers that speak the real protocols.

mod aliases;
mod families;
mod gone;
mod limits;
mod nights;
mod no_list;
mod shared_list;
mod values;
