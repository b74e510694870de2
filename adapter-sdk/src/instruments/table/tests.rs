use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn the_first_of_two_counts_in_both_directions() {
    let mut builder = TableBuilder::new();
    builder.add("NSE", "SBIN", 1_u32);
    builder.add("NSE", "SBIN", 2);
    builder.add("BSE", "SBIN", 3);
    builder.add("NSE_INDEX", "NIFTY50", 9);
    builder.add("NSE_INDEX", "NIFTY", 9);
    builder.add("NSE", &"X".repeat(256), 5);
    builder.add("NSE", "", 6);
    assert_eq!(builder.skipped(), 2);
    let table = builder.build();
    assert_eq!((table.get("NSE", "SBIN"), table.get("BSE", "SBIN")), (Some(1), Some(3)));
    assert_eq!((table.name(1), table.name(2)), (Some(("NSE", "SBIN")), None));
    assert_eq!(table.name(9), Some(("NSE_INDEX", "NIFTY50")));
    assert_eq!(
        table.names().collect::<Vec<_>>(),
        [("NSE", "SBIN"), ("BSE", "SBIN"), ("NSE_INDEX", "NIFTY50")],
        "nothing stands there twice"
    );
    assert_eq!(
        (table.get("NFO", "SBIN"), table.get("NSE", "SBI"), table.get("NSE", "SBINX")),
        (None, None, None)
    );
    assert_eq!(table.len(), 4);
}

#[test]
fn the_last_good_table_gives_what_is_missing_but_no_number_that_means_something_else_now() {
    let table = |rows: &[(&str, &str, u32)]| {
        let mut builder = TableBuilder::new();
        rows.iter().for_each(|(exchange, symbol, key)| builder.add(exchange, symbol, *key));
        builder.build()
    };
    let last = table(&[
        ("NSE", "SBIN", 1),
        ("NFO", "B", 2),
        ("NFO", "A", 2),
        ("NFO", "C", 3),
        ("NFO", "D", 4),
        ("MCX", "E", 5),
    ]);
    let fresh = table(&[("NSE", "TCS", 3), ("NSE", "SBIN", 7)]);
    let (held, count) =
        fresh.with_missing_of(&last, |exchange, symbol, _| exchange == "NFO" && symbol != "D").unwrap();
    let names: Vec<_> = held.names().collect();
    assert_eq!((names, count), (vec![("NSE", "SBIN"), ("NSE", "TCS"), ("NFO", "B")], 2));
    assert_eq!((held.get("NFO", "A"), held.get("NFO", "C"), held.get("MCX", "E")), (Some(2), None, None));
    assert_eq!((held.get("NSE", "SBIN"), held.name(3)), (Some(7), Some(("NSE", "TCS"))));
    assert_eq!((held.name(2), held.name(1)), (Some(("NFO", "B")), None), "first names stay first");
    assert!(fresh.with_missing_of(&fresh, |_, _, _| true).is_none());
}

proptest! {
    #[test]
    fn it_knows_what_a_map_knows(names in proptest::collection::vec((0_usize..3, "[A-Z&-]{1,3}", 0_u32..40), 0..80)) {
        const EXCHANGES: [&str; 3] = ["NSE", "NFO", "BSE"];
        let (mut builder, mut map, mut by_key) = (TableBuilder::new(), BTreeMap::new(), BTreeMap::new());
        for (exchange, symbol, key) in &names {
            let name = (EXCHANGES[*exchange], symbol.as_str());
            builder.add(name.0, name.1, *key);
            if let std::collections::btree_map::Entry::Vacant(free) = map.entry(name) {
                free.insert(*key);
                by_key.entry(*key).or_insert(name);
            }
        }
        let table = builder.build();
        prop_assert_eq!(table.len(), map.len());
        for (name, key) in &map {
            prop_assert_eq!(table.get(name.0, name.1), Some(*key));
        }
        let all: std::collections::BTreeSet<_> = table.names().collect();
        prop_assert_eq!(all, by_key.values().copied().collect::<std::collections::BTreeSet<_>>());
        prop_assert_eq!(table.names().count(), by_key.len());
        for key in 0..40 {
            prop_assert_eq!(table.name(key), by_key.get(&key).copied());
        }
    }
}

#[test]
fn names_that_are_too_long_and_a_257th_exchange_are_left_out() {
    let mut builder = TableBuilder::new();
    for number in 0..300_u32 {
        builder.add(&format!("X{number}"), "A", number);
    }
    builder.add(&"X".repeat(256), "A", 301);
    builder.add("", "A", 302);
    let skipped = builder.skipped();
    let table = builder.build();
    assert_eq!((skipped, table.len()), (46, 256));
    assert_eq!((table.get("X255", "A"), table.get("X256", "A")), (Some(255), None));
    assert!(TableBuilder::<u32>::new().build().is_empty());
}

/// Not every number is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Even(u16);

impl Key for Even {
    type Parts = [u8; 2];

    fn parts(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    fn of_parts(parts: [u8; 2]) -> Option<Self> {
        Some(Self(u16::from_be_bytes(parts))).filter(|key| key.0 % 2 == 0)
    }
}

#[test]
fn keys_keep_their_own_order() {
    let mut builder = TableBuilder::new();
    (0..300).for_each(|number| builder.add("NSE", &format!("S{number}"), Even(number * 2)));
    let table = builder.build();
    for number in 0..300 {
        let symbol = format!("S{number}");
        assert_eq!(table.get("NSE", &symbol), Some(Even(number * 2)));
        assert_eq!(table.name(Even(number * 2)), Some(("NSE", symbol.as_str())));
    }
    assert_eq!((table.name(Even(1)), table.name(Even(600))), (None, None));
}

#[cfg(all(feature = "net", target_os = "linux"))]
proptest! {
    #[test]
    fn damaged_bytes_are_no_table_or_one_that_answers(
        cut in 0_usize..400,
        changes in proptest::collection::vec((0_usize..400, any::<u8>()), 0..8),
    ) {
        let mut builder = TableBuilder::new();
        (0..12_u16).for_each(|number| {
            let exchange = if number % 2 == 0 { "NSE" } else { "NFO" };
            builder.add(exchange, &format!("S{number}"), Even(number * 2));
        });
        let whole = builder.build().as_bytes().to_vec();
        let read = |bytes: &[u8]| Table::<Even>::of_bytes(Storage::Owned(bytes.into()));
        prop_assert_eq!(read(&whole).unwrap().get("NFO", "S3"), Some(Even(6)));
        let cut = cut % whole.len();
        prop_assert!(read(&whole[..cut]).is_none());
        let mut damaged = whole;
        let length = damaged.len();
        changes.into_iter().for_each(|(place, byte)| damaged[place % length] = byte);
        if let Some(table) = read(&damaged) {
            _ = (table.names().count(), table.get("NSE", "S2"), table.name(Even(4)));
            _ = table.with_missing_of(&table, |_, _, _| true);
        }
    }
}
