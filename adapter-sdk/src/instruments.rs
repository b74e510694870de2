//! What a broker's list of instruments becomes: a file on disk that outlives a failed download, and a table that costs
//! little memory. [`Master`] keeps both up to date.

#[cfg(feature = "net")]
mod file;
#[cfg(feature = "net")]
mod master;
mod table;

pub use self::table::{Table, TableBuilder};
#[cfg(feature = "net")]
pub use self::{
    file::{Cached, InstrumentFile},
    master::{Access, List, ListSource, Master, Outdated, Renewal, Summary},
};
