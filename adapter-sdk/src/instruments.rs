//! What a broker's list of instruments becomes: a file on disk that outlives a failed download, and a table that costs
//! little memory. `Master` keeps both up to date.

#[cfg(feature = "net")]
mod file;
#[cfg(feature = "net")]
mod master;
mod names;
mod table;

#[cfg(feature = "net")]
pub use self::{
    file::{Cached, InstrumentFile},
    master::{Access, List, ListSource, Master, Outdated, Renewal, Summary},
};
pub use self::{
    names::publish_names,
    table::{Table, TableBuilder},
};
