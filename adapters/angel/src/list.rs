//! The broker's list of instruments: thirty megabytes of JSON, an object for each.

use adapter_sdk::{
    instruments::{Catalog, Layout, Names, Sheet},
    ist::Day,
};

use crate::{
    names::Row,
    segment::{Key, Segment, Token},
};

/// The instruments of a list, by OpenAlgo's names and by the broker's key.
pub type Instruments = Catalog<ScripMaster, 7>;

/// The layout of the list.
#[derive(Debug)]
pub struct ScripMaster {
    /// Kept for its room.
    symbol: String,
}

impl Sheet<7> for ScripMaster {
    type Key = Key;

    const LAYOUT: Layout = Layout::JsonObjects;
    const COLUMNS: [&'static str; 7] =
        ["token", "symbol", "name", "expiry", "strike", "instrumenttype", "exch_seg"];

    fn begin(_today: Day) -> Self {
        Self { symbol: String::new() }
    }

    fn row(&mut self, cells: [Option<&str>; 7], names: &mut Names<Key>) -> Option<()> {
        let [token, symbol, name, expiry, strike, kind, segment] = cells.map(Option::unwrap_or_default);
        // A row without an exchange is of another one.
        let Some(segment) = Segment::from_name(segment) else {
            names.unserved();
            return Some(());
        };
        let key = Key { segment, token: Token::new(token)? };
        let row = Row { segment, symbol, name, expiry, strike, kind };
        let exchange = row.exchange();
        if row.write_symbol(&mut self.symbol)? {
            names.add(exchange, &self.symbol, key);
        } else {
            names.add_unless_taken(1, exchange, &self.symbol, key);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use adapter_sdk::{AdapterError, instruments::List as _};

    use super::*;

    fn read(json: &str) -> Result<Instruments, AdapterError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(json.as_bytes()).unwrap();
        Instruments::read(&[file.path().to_owned()])
    }

    #[test]
    fn names_are_found_both_ways_and_the_usual_series_comes_first() {
        let list = read(
            r#"[{"token":"9","symbol":"SBIN-BE","name":"SBIN","expiry":"","strike":"-1.000000","lotsize":"1",
                "instrumenttype":"","exch_seg":"NSE","tick_size":"5.000000","freeze_qty":"1","is_cas_enabled":false},
               {"token":"3045","symbol":"SBIN-EQ","name":"SBIN","instrumenttype":"","exch_seg":"NSE"},
               {"token":99926000,"symbol":"Nifty 50","name":"NIFTY","instrumenttype":"AMXIDX","exch_seg":"NSE","more":[{}]},
               {"token":"1","symbol":"X","name":"X","instrumenttype":"FUTCOM","exch_seg":"NCO"},
               {"token":null,"symbol":"X","name":[1,{}],"expiry":{"a":[1]},"strike":1.5,"instrumenttype":true,"exch_seg":"NSE"}, 7, null, "x", ["x"], {}]"#,
        )
        .unwrap();
        let key = |token| Key { segment: Segment::NseCash, token: Token::new(token).unwrap() };
        assert_eq!(list.key("NSE", "SBIN"), Some(key("3045")));
        assert_eq!(list.key("NSE_INDEX", "NIFTY"), Some(key("99926000")));
        assert_eq!(list.name(key("3045")), Some(("NSE", "SBIN")));
        assert_eq!((list.unserved(), list.skipped()), (2, 5));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for json in [
            "",
            "[",
            "{}",
            r#"[{"token":"1"}"#,
            "[] x",
            "[]",
            "<html>maintenance</html>",
            r#"{"status":false,"message":"down"}"#,
            r#"[{"token":"1","symbol":"X","exch_seg":"NCO"}]"#,
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("has none that can be used"), "{json}: {error}");
        }
    }

    #[test]
    fn one_damaged_value_or_row_costs_itself_and_a_list_that_was_cut_off_what_it_lacks() {
        let option = |token: u32, strike: &str| {
            format!(
                r#"{{"token":"{token}","symbol":"SENSEX26721{token}CE","name":"SENSEX","expiry":"21JUL2026",
                "strike":{strike},"lotsize":"20","instrumenttype":"OPTIDX","exch_seg":"BFO","tick_size":NaN}}"#
            )
        };
        let rows = [
            option(1, r#""8000000.000000""#),
            option(2, "NaN"),
            option(3, "8100000.0"),
            option(4, r#""8200000""#).replace("\"name\":", "\"name\""),
            option(5, r#""8300000.000000""#),
        ];
        let text = format!("[{}]", rows.join(",\n"));
        let list = read(&text).unwrap();
        let has =
            |list: &Instruments, strike: u32| list.key("BFO", &format!("SENSEX21JUL26{strike}CE")).is_some();
        assert!(has(&list, 80_000) && has(&list, 81_000) && has(&list, 83_000));
        assert_eq!((list.len(), list.skipped(), list.is_cut_off()), (3, 2, false));
        let cut = read(text.get(..text.len() - 40).unwrap()).unwrap();
        assert!(has(&cut, 80_000) && !has(&cut, 83_000));
        assert_eq!((cut.len(), cut.skipped(), cut.is_cut_off()), (2, 3, true));
        for (end, is_cut_off) in [("", true), (",", true), ("]", false), ("]\n", false)] {
            let text = format!("[{}{end}", rows.get(..1).unwrap().join(","));
            assert_eq!(read(&text).unwrap().is_cut_off(), is_cut_off, "{end:?}");
        }
    }
}
