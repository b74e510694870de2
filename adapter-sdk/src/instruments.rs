//! What a broker's list of instruments becomes: a file on disk that outlives a failed download, and a table
//! that costs little memory. `Master` keeps both up to date.

#[cfg(feature = "net")]
mod ages;
#[cfg(feature = "net")]
mod archive;
#[cfg(feature = "net")]
mod arrays;
#[cfg(feature = "net")]
mod catalog;
#[cfg(feature = "net")]
mod cells;
#[cfg(feature = "net")]
mod download;
#[cfg(feature = "net")]
mod file;
#[cfg(feature = "net")]
mod judge;
mod key;
#[cfg(feature = "net")]
mod list;
#[cfg(feature = "net")]
mod master;
mod names;
#[cfg(feature = "net")]
mod objects;
#[cfg(feature = "net")]
mod pages;
#[cfg(feature = "net")]
mod renewal;
#[cfg(feature = "net")]
mod report;
mod rows;
#[cfg(all(feature = "net", target_os = "linux"))]
mod shelf;
mod table;
mod text;
mod token;

#[cfg(feature = "net")]
pub use self::{
    catalog::{Catalog, Layout, Names, Sheet},
    file::{Cached, InstrumentFile},
    list::{Access, List, ListSource, Outdated, SEGMENTS, Summary},
    master::Master,
    pages::Pages,
    renewal::Renewal,
};
pub use self::{
    key::Key,
    names::publish_names,
    rows::{Row, Rows},
    table::{Table, TableBuilder},
    text::Text,
    token::ExchangeToken,
};
