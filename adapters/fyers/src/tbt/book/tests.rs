use adapter_sdk::{Level, Price};

use super::*;

/// A field of a protocol buffer: a message within a message.
fn inside(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128, "lengths of one byte are enough here");
    let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend_from_slice(bytes);
    field
}

fn number(number: u8, value: u8) -> Vec<u8> {
    assert!(value < 128);
    vec![number << 3, value]
}

/// Fields 1 to 4 of a row: what is none is not sent.
fn level(side: u8, values: [Option<u8>; 4]) -> Vec<u8> {
    let fields =
        values.iter().zip(1..).filter_map(|(value, field)| Some(inside(field, &number(1, (*value)?))));
    inside(side, &fields.flatten().collect::<Vec<_>>())
}

fn message(ticker: &str, sequence: u8, levels: &[Vec<u8>], is_snapshot: bool) -> Vec<u8> {
    let feed = [inside(5, &levels.concat()), number(9, sequence), inside(11, ticker.as_bytes())].concat();
    let entry = [inside(1, b"101"), inside(2, &feed)].concat();
    [number(1, 6), inside(2, &entry), number(3, is_snapshot.into())].concat()
}

const ASKS: u8 = 3;
const BIDS: u8 = 4;

fn apply(books: &mut Books, bytes: &[u8]) -> Vec<String> {
    let message = SocketMessage::parse(bytes).unwrap();
    let mut told = Vec::new();
    let taken = books.apply(&message, |news| {
        told.push(match news {
            News::Changed(book) => format!("{} {}", book.ticker, book.bids[0].quantity),
            News::Gap(book) => format!("gap of {}", book.ticker),
        });
    });
    assert_eq!(taken, Ok(()));
    told
}

#[test]
fn rows_are_those_that_the_broker_numbers_and_zeros_are_real() {
    let mut books = Books::new();
    books.want("A");
    let rows = [
        level(BIDS, [Some(100), Some(5), Some(1), Some(0)]),
        level(BIDS, [Some(99), Some(7), Some(2), Some(1)]),
        level(ASKS, [Some(101), Some(9), Some(3), Some(0)]),
    ];
    assert_eq!(apply(&mut books, &message("A", 1, &rows, true)), ["A 5"]);
    // The second row alone loses its orders, by an explicit zero; one of no number and one of place 50 are
    // none.
    let rows = [
        level(BIDS, [None, None, Some(0), Some(1)]),
        level(BIDS, [Some(1), Some(1), Some(1), None]),
        level(ASKS, [Some(1), Some(1), Some(1), Some(50)]),
    ];
    assert_eq!(apply(&mut books, &message("A", 2, &rows, false)), ["A 5"]);
    let levels = books.get("A").unwrap().levels(50);
    let level = |price, quantity, orders| Level {
        price: Price::from_scaled(price, 2).unwrap(),
        quantity,
        orders: Some(orders),
    };
    assert_eq!(levels.buy(), [level(100, 5, 1), level(99, 7, 0)]);
    assert_eq!(levels.sell(), [level(101, 9, 3)]);
    assert_eq!(books.get("A").unwrap().levels(1).buy().len(), 1);
}

#[test]
fn a_book_begins_with_a_snapshot_and_ends_with_a_gap() {
    let mut books = Books::new();
    books.want("A");
    let row = |quantity| [level(BIDS, [Some(100), Some(quantity), None, Some(0)])];
    assert_eq!(apply(&mut books, &message("A", 1, &row(1), false)), ["A 1"]);
    assert!(!books.get("A").unwrap().is_whole(), "a row is no book");
    assert_eq!(apply(&mut books, &message("A", 2, &row(2), true)), ["A 2"]);
    assert_eq!(apply(&mut books, &message("A", 3, &row(3), false)), ["A 3"]);
    assert_eq!(apply(&mut books, &message("A", 9, &row(4), false)), ["gap of A"]);
    assert!(!books.get("A").unwrap().is_whole());
    assert_eq!(apply(&mut books, &message("A", 10, &row(5), false)), ["A 5"]);
    assert!(!books.get("A").unwrap().is_whole(), "nobody knows what was missed");
    assert_eq!(apply(&mut books, &message("A", 11, &row(6), true)), ["A 6"]);
    assert!(books.get("A").unwrap().is_whole());
}

#[test]
fn numbers_may_be_those_of_the_symbol_or_those_of_the_connection() {
    let row = |quantity| [level(BIDS, [Some(100), Some(quantity), None, Some(0)])];
    for (first, second, third) in [((10, 70), (11, 71), (12, 72)), ((10, 11), (12, 13), (14, 15))] {
        let mut books = Books::new();
        books.want("A");
        books.want("B");
        for (place, (a, b)) in [first, second, third].into_iter().enumerate() {
            let is_snapshot = place == 0;
            assert_eq!(apply(&mut books, &message("A", a, &row(1), is_snapshot)), ["A 1"]);
            assert_eq!(apply(&mut books, &message("B", b, &row(2), is_snapshot)), ["B 2"]);
        }
    }
}

#[test]
fn symbols_that_nobody_wants_take_no_room() {
    let mut books = Books::new();
    books.want("A");
    books.want("A");
    let row = [level(BIDS, [Some(100), Some(1), None, Some(0)])];
    assert!(apply(&mut books, &message("B", 1, &row, true)).is_empty());
    assert_eq!(books.wanted.len(), 1);
    books.drop("A");
    assert!(apply(&mut books, &message("A", 2, &row, true)).is_empty());
    assert!(books.get("A").is_none());
}
