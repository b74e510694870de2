//! What a broker's list of instruments becomes: a file on disk that outlives a failed download, and a table that costs
//! little memory.

#[cfg(feature = "net")]
mod file;
mod table;

#[cfg(feature = "net")]
pub use self::file::{Cached, InstrumentFile};
pub use self::table::{Table, TableBuilder};
