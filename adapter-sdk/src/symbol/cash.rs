//! Names of what is traded in the cash segments of NSE and BSE: shares, funds, bonds, warrants.

use super::write_index;

/// Series of NSE in which a symbol is the security itself: shares that are settled trade by trade (BE, BZ),
/// of small companies (SM, ST, SZ), of trusts (IV, RR), funds (MF), and bonds of governments (GB on gold, GS,
/// SG, TB). What is traded in any other series under the symbol of a share is something else: the company's
/// bonds and warrants, blocks of the share, or the share settled on the same day.
const SECURITIES: [&str; 12] = ["BE", "BZ", "SM", "ST", "SZ", "IV", "RR", "MF", "GB", "GS", "SG", "TB"];

/// Groups of BSE. A symbol is in one of them at a time.
const BSE_GROUPS: [&str; 14] = ["A", "B", "E", "F", "G", "IF", "M", "MS", "MT", "T", "X", "XT", "Z", "ZP"];

/// The series in which NSE trades most shares. Names do not have it.
const USUAL: &str = "EQ";

/// Appends the name of what is traded in a cash segment.
///
/// On NSE that is the symbol, and behind a hyphen the series, unless it is `EQ`: one symbol stands for
/// different securities in different series. Elsewhere it is the symbol alone: on BSE the group is a property
/// of the security. A symbol that has the series behind it already is taken without it. An empty series says
/// that the broker does not tell it apart; on NSE it may stand behind the symbol then, as in `20MICRONS-BE`
/// and `SBIN-EQ`, or is not known.
///
/// False, and nothing is appended, when there is no symbol, or the series has other characters than letters
/// and digits.
///
/// ```
/// use adapter_sdk::symbol;
///
/// for (exchange, listed, series, wanted) in [
///     ("NSE", "SBIN", "EQ", "SBIN"),
///     ("NSE", "20MICRONS", "BE", "20MICRONS-BE"),
///     ("NSE", "SGBAUG28V", "GB", "SGBAUG28V-GB"),
///     ("BSE", "SBIN", "A", "SBIN"),
/// ] {
///     let mut name = String::new();
///     assert!(symbol::write_cash(&mut name, exchange, listed, series));
///     assert_eq!(name, wanted);
/// }
/// ```
pub fn write_cash(name: &mut String, exchange: &str, symbol: &str, series: &str) -> bool {
    let (symbol, series) = match symbol.rsplit_once('-') {
        _ if series.is_empty() && exchange == "NSE" => split_cash(exchange, symbol),
        Some((bare, behind)) if !series.is_empty() && behind.eq_ignore_ascii_case(series) => (bare, series),
        _ => (symbol, series),
    };
    if symbol.is_empty() || !series.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    name.push_str(symbol);
    if exchange == "NSE" && !series.is_empty() && !series.eq_ignore_ascii_case(USUAL) {
        name.push('-');
        name.extend(series.chars().map(|letter| letter.to_ascii_uppercase()));
    }
    true
}

/// Symbol and series, or group, of brokers that write both as one: `20MICRONS-BE`. The second is empty when
/// there is none: symbols have hyphens too, as `BAJAJ-AUTO` does. A series of NSE is a capital, and a capital
/// or a digit.
pub fn split_cash<'a>(exchange: &str, text: &'a str) -> (&'a str, &'a str) {
    let is_one = |behind: &str| match exchange {
        "NSE" => is_series(behind),
        "BSE" => BSE_GROUPS.contains(&behind),
        _ => false,
    };
    text.rsplit_once('-').filter(|(_, behind)| is_one(behind)).unwrap_or((text, ""))
}

fn is_series(text: &str) -> bool {
    matches!(text.as_bytes(), [b'A'..=b'Z', b'A'..=b'Z' | b'0'..=b'9'])
}

/// Finds an instrument by its name, or else by another spelling of it that can mean nothing else in the same
/// list:
///
/// - `X-EQ` on NSE is `X`.
/// - `X` on NSE is `X-BE`, or another series in which a symbol is the security itself, when just one of them
///   is listed: BE, BZ, SM, ST, SZ, IV, RR, MF, GB, GS, SG, TB. It never is a bond or a warrant of the
///   company `X`, even when nothing else of `X` is listed: a list that lacks the share must not show the
///   price of something else for it.
/// - An index is found by the broker's name, such as `Nifty 50`: see [`write_index`].
/// - `X-A` on BSE, or with another of its usual groups, is `X`.
///
/// What has the name itself always comes first. Lists name instruments by [`write_cash`] alone: other
/// spellings are found, and not listed.
///
/// `get` looks a name up in the list of the exchange.
///
/// ```
/// use adapter_sdk::symbol;
///
/// let listed = ["SBIN", "20MICRONS-BE"];
/// let find = |name| symbol::find("NSE", name, |name| listed.iter().position(|known| *known == name));
/// assert_eq!((find("SBIN-EQ"), find("20MICRONS"), find("SBIN-BE")), (Some(0), Some(1), None));
/// ```
pub fn find<K: PartialEq>(exchange: &str, symbol: &str, get: impl Fn(&str) -> Option<K>) -> Option<K> {
    get(symbol).or_else(|| match exchange {
        "NSE" => find_series(symbol, get),
        "BSE" => match split_cash(exchange, symbol) {
            (_, "") => None,
            (bare, _) => get(bare),
        },
        _ if exchange.ends_with("_INDEX") => {
            let mut name = String::with_capacity(symbol.len());
            write_index(&mut name, exchange, symbol).then(|| get(&name)).flatten()
        }
        _ => None,
    })
}

fn find_series<K: PartialEq>(symbol: &str, get: impl Fn(&str) -> Option<K>) -> Option<K> {
    if let (bare, USUAL) = split_cash("NSE", symbol) {
        return get(bare);
    }
    let mut name = String::with_capacity(symbol.len() + 3);
    let mut listed = SECURITIES.iter().filter_map(|series| {
        name.clear();
        write_cash(&mut name, "NSE", symbol, series).then(|| get(&name)).flatten()
    });
    let only = listed.next()?;
    listed.all(|other| other == only).then_some(only)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{CASH, SPELLINGS};

    fn named(exchange: &str, symbol: &str, series: &str) -> Option<String> {
        let mut name = "before ".to_owned();
        let is_written = write_cash(&mut name, exchange, symbol, series);
        let written = name.strip_prefix("before ").unwrap();
        assert!(is_written || written.is_empty());
        is_written.then(|| written.to_owned())
    }

    #[test]
    fn names_have_the_series_of_nse_unless_it_is_the_usual_one() {
        for listed in CASH {
            assert_eq!(named(listed.exchange, listed.symbol, listed.series).as_deref(), Some(listed.name));
        }
        // Brokers that have both in one text, and those that say the series twice.
        for listed in CASH {
            let both = format!("{}-{}", listed.symbol, listed.series);
            assert_eq!(named(listed.exchange, &both, listed.series).as_deref(), Some(listed.name));
            assert_eq!(split_cash(listed.exchange, &both), (listed.symbol, listed.series));
            if listed.exchange == "NSE" {
                assert_eq!(named("NSE", &both, "").as_deref(), Some(listed.name));
            }
        }
        assert_eq!(named("BSE", "X-A", "").as_deref(), Some("X-A"));
        assert_eq!(named("NSE", "X", "be").as_deref(), Some("X-BE"));
        assert_eq!(named("NSE", "X", "eq").as_deref(), Some("X"));
        assert_eq!(named("NSE", "X", "").as_deref(), Some("X"));
        assert_eq!(named("NSE", "X-", "").as_deref(), Some("X-"));
        for (symbol, series) in
            [("", "EQ"), ("", ""), ("-BE", "BE"), ("-EQ", ""), ("X", "B E"), ("X", "-"), ("X", "ß")]
        {
            assert_eq!(named("NSE", symbol, series), None, "{symbol} {series}");
        }
    }

    #[test]
    fn hyphens_are_no_series_everywhere() {
        for (exchange, text) in [
            ("NSE", "SBIN"),
            ("NSE", "BAJAJ-AUTO"),
            ("NSE", "MCDOWELL-N"),
            ("NSE", "X-1A"),
            ("NSE", "X-be"),
            ("NSE", ""),
            ("BSE", "BAJAJ-AUTO"),
            ("BSE", "X-BE"),
            ("MCX", "X-BE"),
        ] {
            assert_eq!(split_cash(exchange, text), (text, ""), "{exchange} {text}");
        }
        assert_eq!(split_cash("NSE", "BAJAJ-AUTO-BE"), ("BAJAJ-AUTO", "BE"));
    }

    #[test]
    fn other_spellings_are_found_where_they_can_mean_one_thing_only() {
        for (exchange, asked, wanted) in SPELLINGS {
            let get = |name: &str| {
                CASH.iter().position(|listed| (listed.exchange, listed.name) == (*exchange, name))
            };
            let found = find(exchange, asked, get).map(|place| CASH.get(place).unwrap().name);
            assert_eq!(found, *wanted, "{exchange}:{asked}");
        }
    }

    #[test]
    fn indices_are_found_by_the_names_of_brokers() {
        let get = |name: &str| (name == "NIFTY").then_some(());
        for (exchange, asked, is_found) in [
            ("NSE_INDEX", "NIFTY", true),
            ("NSE_INDEX", "Nifty 50", true),
            ("NSE_INDEX", "NIFTY-50", true),
            ("NSE_INDEX", "NIFTY 500", false),
            ("NSE_INDEX", " ", false),
            ("NSE", "NIFTY 50", false),
        ] {
            assert_eq!(find(exchange, asked, get).is_some(), is_found, "{exchange}:{asked}");
        }
    }

    #[test]
    fn two_names_of_one_instrument_are_no_reason_to_find_neither() {
        let listed = BTreeMap::from([("X-BE", 1), ("X-BZ", 1), ("Y-BE", 1), ("Y-BZ", 2)]);
        let find = |symbol| find("NSE", symbol, |name| listed.get(name).copied());
        assert_eq!((find("X"), find("Y")), (Some(1), None));
    }

    proptest! {
        #[test]
        fn a_name_is_that_of_one_security(
            rows in proptest::collection::btree_set(("[A-C]", "EQ|BE|BZ|GB|W1|N1|T0"), 0..12),
            asked in "[A-C](-(EQ|BE|BZ|GB|W1|N1|T0))?",
        ) {
            let name = |(symbol, series): &(String, String)| named("NSE", symbol, series).unwrap();
            let names: BTreeSet<String> = rows.iter().map(name).collect();
            prop_assert_eq!(names.len(), rows.len());
            let found = find("NSE", &asked, |name| names.get(name).cloned());
            let (symbol, series) = split_cash("NSE", &asked);
            match &found {
                Some(found) if names.contains(&asked) => prop_assert_eq!(found, &asked),
                Some(found) => {
                    prop_assert_eq!(split_cash("NSE", found).0, symbol);
                    prop_assert!(series == USUAL || (series.is_empty() && !names.contains(symbol)));
                }
                None => prop_assert!(!names.contains(&asked)),
            }
        }

        #[test]
        fn nothing_makes_it_panic(exchange in "NSE|BSE|X", text in "\\PC{0,20}", series in "\\PC{0,4}") {
            let _any = (split_cash(&exchange, &text), named(&exchange, &text, &series));
            let _any = find(&exchange, &text, |name| (name.len() > 3).then_some(name.len()));
        }
    }
}
