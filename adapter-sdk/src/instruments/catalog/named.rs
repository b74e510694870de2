//! The names that rows give, and those that instruments have at all brokers.

use std::fmt;

use crate::{
    instruments::{Key, Table, TableBuilder},
    ist::Day,
    symbol::{self, Contract},
};

/// Takes the names of a list's instruments.
pub struct Names<K> {
    builder: TableBuilder<K>,
    own: TableBuilder<K>,
    later: Vec<Claim<K>>,
    named: usize,
    expired: usize,
    unserved: usize,
    today: Day,
    /// Kept for its room.
    symbol: String,
}

/// A name that another row may have a better claim to.
struct Claim<K> {
    rank: usize,
    exchange: String,
    symbol: String,
    key: K,
}

/// What has become of names.
pub(super) struct Named<K> {
    pub(super) table: Table<K>,
    /// By the broker's own names.
    pub(super) own: Table<K>,
    pub(super) skipped: usize,
    pub(super) expired: usize,
    pub(super) unserved: usize,
}

impl<K: Key> Names<K> {
    /// Those of a list as it is on a day.
    pub(super) fn on(today: Day) -> Self {
        Self {
            builder: TableBuilder::new(),
            own: TableBuilder::new(),
            later: Vec::new(),
            named: 0,
            expired: 0,
            unserved: 0,
            today,
            symbol: String::new(),
        }
    }

    /// Names that were given, be they taken or not.
    pub(super) const fn count(&self) -> usize {
        self.named
    }

    /// Decides who has the names that several have claimed.
    pub(super) fn finish(self) -> Named<K> {
        let Self { mut builder, own, mut later, expired, unserved, .. } = self;
        // Stable: of one rank the first row counts.
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        let skipped = builder.skipped() + own.skipped();
        Named { table: builder.build(), own: own.build(), skipped, expired, unserved }
    }
}

impl<K: Copy> Names<K> {
    /// Names an instrument. Where two rows have one name, the first counts.
    pub fn add(&mut self, exchange: &str, symbol: &str, key: K) {
        self.named += 1;
        self.builder.add(exchange, symbol, key);
    }

    /// Notes what the broker itself calls an instrument, where that is needed besides:
    /// [`Catalog::own_name`](super::Catalog::own_name).
    pub fn add_own(&mut self, exchange: &str, symbol: &str, key: K) {
        self.own.add(exchange, symbol, key);
    }

    /// Names an instrument if no other has the name by [`Self::add`], or by a lower rank: a second name of an
    /// index, or a share in a series that nobody means when the usual one is there.
    pub fn add_unless_taken(&mut self, rank: usize, exchange: &str, symbol: &str, key: K) {
        self.named += 1;
        self.later.push(Claim { rank, exchange: exchange.to_owned(), symbol: symbol.to_owned(), key });
    }

    /// Counts a row of what has expired, which has no name.
    pub const fn expired(&mut self) {
        self.expired += 1;
    }

    /// Counts a row of a market or kind that is not served, which has no name.
    pub const fn unserved(&mut self) {
        self.unserved += 1;
    }
}

impl<K> fmt::Debug for Names<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("later", &self.later.len()).finish_non_exhaustive()
    }
}

impl<K: Key> Names<K> {
    /// Whether a contract that expires on this day has expired on the day of the list. It is counted then,
    /// and needs no name.
    pub fn has_expired(&mut self, expiry: Day) -> bool {
        let is_over = expiry < self.today;
        self.expired += usize::from(is_over);
        is_over
    }

    /// Names an index by what the broker calls it ([`symbol::write_index`]). The broker's own name works too,
    /// unless anything else has it. None, and no name, when nothing is left of it.
    pub fn add_index(&mut self, exchange: &str, theirs: &str, key: K) -> Option<()> {
        let name = self.written(|name| symbol::write_index(name, exchange, theirs))?;
        self.add(exchange, &name, key);
        if name != theirs {
            self.add_unless_taken(usize::MAX, exchange, theirs, key);
        }
        self.symbol = name;
        Some(())
    }

    /// Names what is traded in a cash segment ([`symbol::write_cash`]). Where nobody says its series on NSE,
    /// it has the bare name only if nothing of the usual series has. None, and no name, when it has no
    /// symbol.
    pub fn add_cash(&mut self, exchange: &str, symbol: &str, series: &str, key: K) -> Option<()> {
        let name = self.written(|name| symbol::write_cash(name, exchange, symbol, series))?;
        let (_, behind) = symbol::split_cash(exchange, symbol);
        if exchange == "NSE" && series.is_empty() && behind.is_empty() {
            self.add_unless_taken(1, exchange, &name, key);
        } else {
            self.add(exchange, &name, key);
        }
        self.symbol = name;
        Some(())
    }

    /// Names a derivative ([`symbol::write`]). None, and no name, when it has no underlying, or no strike and
    /// needs one.
    pub fn add_derivative(
        &mut self,
        exchange: &str,
        underlying: &str,
        expiry: Day,
        contract: Contract<'_>,
        key: K,
    ) -> Option<()> {
        let name = self.written(|name| symbol::write(name, underlying, expiry, contract))?;
        self.add(exchange, &name, key);
        self.symbol = name;
        Some(())
    }

    /// A name in the room of the last one.
    fn written(&mut self, write: impl FnOnce(&mut String) -> bool) -> Option<String> {
        let mut name = std::mem::take(&mut self.symbol);
        name.clear();
        if write(&mut name) {
            return Some(name);
        }
        self.symbol = name;
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        instruments::{Catalog, Names, Sheet},
        ist::Day,
        symbol::Contract,
        testing::{CASH, Cash, assert_cash_names},
    };

    struct Rows;

    impl Sheet<5> for Rows {
        type Key = u32;

        const COLUMNS: [&'static str; 5] = ["key", "exchange", "symbol", "series", "expiry"];

        fn begin(_today: Day) -> Self {
            Self
        }

        fn row(&mut self, cells: [Option<&str>; 5], names: &mut Names<u32>) -> Option<()> {
            let [key, exchange, symbol, series, expiry] = cells.map(Option::unwrap_or_default);
            let key = key.parse().ok()?;
            match (exchange, expiry.parse()) {
                (_, Ok(expiry)) if names.has_expired(expiry) => Some(()),
                (_, Ok(expiry)) => names.add_derivative(exchange, symbol, expiry, Contract::Future, key),
                _ if exchange.ends_with("_INDEX") => names.add_index(exchange, symbol, key),
                _ => names.add_cash(exchange, symbol, series, key),
            }
        }
    }

    fn read(rows: &str) -> Catalog<Rows, 5> {
        let text = format!("key,exchange,symbol,series,expiry\n{rows}");
        Catalog::parse_on(text.as_bytes(), Day::new(2026, 1, 10).unwrap()).unwrap()
    }

    #[test]
    fn each_kind_has_the_names_that_clients_know() {
        let list = read(
            "1,NSE_INDEX,Nifty 50\n2,NSE_INDEX,-\n3,NSE,SBIN,EQ\n4,NSE,X-BE\n5,NSE,,EQ\n\
             6,NFO,GOLD,,2026-01-09\n7,NFO,GOLD,,2026-01-10\n8,NFO,,,2026-01-10\n",
        );
        for (key, name) in [
            (1, ("NSE_INDEX", "NIFTY")),
            (3, ("NSE", "SBIN")),
            (4, ("NSE", "X-BE")),
            (7, ("NFO", "GOLD10JAN26FUT")),
        ] {
            assert_eq!(list.name(key), Some(name));
        }
        // The index has two names.
        assert_eq!((list.len(), list.skipped(), list.expired()), (5, 3, 1));
    }

    #[test]
    fn a_bare_name_is_that_of_the_usual_series_and_of_an_index() {
        // The series is not said in the first row, and the name is another index's own in the second.
        let list =
            read("1,NSE,X,\n2,NSE,X,EQ\n3,NSE,Y,\n4,NSE_INDEX,A B\n5,NSE_INDEX,AB\n6,BSE,Z,\n7,BSE,Z,A\n");
        for (exchange, symbol, key) in [
            ("NSE", "X", 2),
            ("NSE", "Y", 3),
            ("NSE_INDEX", "AB", 4),
            ("NSE_INDEX", "A B", 4),
            ("BSE", "Z", 6),
        ] {
            assert_eq!(list.key(exchange, symbol), Some(key), "{symbol}");
        }
    }

    #[test]
    fn securities_have_the_names_that_they_have_at_all_brokers() {
        let row = |(number, one): (usize, &Cash)| {
            [&number.to_string(), one.exchange, one.symbol, one.series].join(",")
        };
        let rows: Vec<String> = CASH.iter().enumerate().map(row).collect();
        let list = read(&format!("{}\n", rows.join("\n")));
        assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
            Some((exchange.to_owned(), symbol.to_owned()))
        });
    }
}
