//! The list of instruments as it is served: whole, another one, or torn.

use adapter_conformance::{Edition, Name};

use crate::{Reply, http::reply};

/// How a file is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serve {
    /// As it is.
    #[default]
    Whole,
    /// Cut off in its middle, as if the broker had not finished writing it.
    Torn,
    /// Without a byte.
    Empty,
    /// Not at all, with this HTTP status.
    Refused(u16),
}

/// The list of instruments of a venue.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    edition: Edition,
    serve: Serve,
    /// How often it was asked for.
    asked: u64,
}

impl Listing {
    /// Serves another list from now on.
    pub fn change(&mut self, edition: Edition) {
        self.edition = edition;
    }

    /// Serves files in another way from now on.
    pub const fn serve(&mut self, serve: Serve) {
        self.serve = serve;
    }

    /// How often a file was asked for.
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    /// Whether the list has an instrument.
    pub fn has(&self, name: &Name) -> bool {
        !self.edition.without.contains(name) && self.edition.lacks.as_ref() != Some(&name.exchange)
    }

    /// The instrument whose number this one has: itself, unless the two of the edition were swapped. And the
    /// other way round: what has the number that this one had at first.
    pub fn swapped(&self, name: &Name) -> Name {
        match self.edition.swap.as_slice() {
            [one, other] if one == name => other.clone(),
            [one, other] if other == name => one.clone(),
            _ => name.clone(),
        }
    }

    /// A file of the list, as it is to be served.
    pub fn file(&mut self, content_type: &'static str, text: String) -> Reply {
        self.asked += 1;
        let mut bytes = text.into_bytes();
        match self.serve {
            Serve::Whole => {}
            Serve::Torn => bytes.truncate(bytes.len() / 2),
            Serve::Empty => bytes.clear(),
            Serve::Refused(status) => return reply(status, "text/plain", "Not now"),
        }
        reply(200, content_type, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_served_as_it_is_told_and_named_both_ways() {
        let name = |symbol: &str| Name { exchange: "NSE".to_owned(), symbol: symbol.to_owned() };
        let mut listing = Listing::default();
        listing.change(Edition {
            swap: vec![name("A"), name("B")],
            without: vec![name("C")],
            lacks: Some("NFO".to_owned()),
        });
        assert_eq!([listing.swapped(&name("A")), listing.swapped(&name("D"))], [name("B"), name("D")]);
        assert!(listing.has(&name("A")) && !listing.has(&name("C")));
        assert!(!listing.has(&Name { exchange: "NFO".to_owned(), ..name("A") }));
        let mut served = |serve| {
            listing.serve(serve);
            let reply = listing.file("text/csv", "abcd".to_owned());
            (reply.status().as_u16(), reply.into_body())
        };
        assert_eq!(served(Serve::Whole), (200, "abcd".into()));
        assert_eq!(served(Serve::Torn), (200, "ab".into()));
        assert_eq!(served(Serve::Empty), (200, "".into()));
        assert_eq!(served(Serve::Refused(503)).0, 503);
        assert_eq!(listing.asked(), 4);
    }
}
