//! What is known of each instrument under each code. Pure.
//!
//! Messages of one code say nothing of what another has said: the last price of a touchline may be older than
//! that of the book beside it. What a code has not said in a message of changes stays as it was.

use adapter_sdk::sparse::{Known, Side, State};

use crate::wire::{About, Code, Key, LEVELS, News};

/// What is known, by code and instrument.
pub type Books = State<(Code, Key), LEVELS>;

/// Takes what a message says of an instrument, and gives what is known under its code then.
pub fn take<'a>(books: &'a mut Books, key: Key, news: &News<'_>) -> &'a mut Known<LEVELS> {
    let place = (news.code, key);
    let known = if news.is_image { books.image(place, news.tick) } else { books.update(place, news.tick) };
    known.clear(news.none);
    if news.is_image && news.code == Code::Depth {
        known.empty_book();
    }
    let [bids, asks] = &news.rows;
    let sides = [(Side::Buy, bids), (Side::Sell, asks)];
    let rows = sides
        .into_iter()
        .flat_map(|(side, rows)| rows.iter().enumerate().map(move |(place, row)| (side, place, *row)));
    let none = adapter_sdk::sparse::Row::default();
    known.rows(rows.filter(|(.., row)| *row != none));
    known
}

/// Lays what the messages beside say of an instrument, its open interest and the limits of its price, over
/// what is known under a code.
pub fn complete(books: &mut Books, code: Code, key: Key) {
    for beside in [Code::OpenInterest, Code::Bands] {
        if let Some(known) = books.get(&(beside, key)) {
            let values = known.tick(0).update();
            books.update((code, key), values);
        }
    }
}

/// The instrument that a message is about; an index is found by its name.
pub fn key(about: &About<'_>, find: impl FnOnce(&str, &str) -> Option<Key>) -> Option<Key> {
    match about {
        About::Instrument(key) => Some(*key),
        About::Index(exchange, name) => find(exchange.of_indices()?, name),
    }
}
