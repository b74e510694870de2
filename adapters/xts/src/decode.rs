//! What is known of each instrument under each code. Pure.
//!
//! Messages of one code say nothing of what another has said: the last price of a touchline may be older than
//! that of the book beside it. What a code has not said in a message of changes stays as it was.

use adapter_sdk::sparse::{Known, Row, Side, State};

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
    let none = Row::default();
    known.rows(rows.filter(|(.., row)| *row != none));
    known
}

/// Takes what the answer to a request says of an instrument, and says whether anything came of it. Events
/// that followed it may have come before it, on the socket: it takes the place of none of them.
pub fn take_answer(books: &mut Books, key: Key, news: &News<'_>) -> bool {
    let place = (news.code, key);
    let events = books.get(&place).copied();
    if events.is_some_and(|events| events.is_image()) {
        return false;
    }
    take(books, key, news);
    if let Some(events) = events {
        books.update(place, events.tick(0).update());
    }
    true
}

/// Lays what the messages beside say of an instrument, its open interest and the limits of its price, over
/// what is known under a code.
pub fn complete(books: &mut Books, code: Code, key: Key) {
    const BESIDE: [Code; 2] = [Code::OpenInterest, Code::Bands];
    if BESIDE.contains(&code) {
        return;
    }
    for beside in BESIDE {
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

#[cfg(test)]
mod tests {
    use adapter_sdk::{Price, Tick, symbol::Exchange};

    use super::*;
    use crate::wire::{json, partial};

    const KEY: Key = Key { exchange: Exchange::Nfo, token: 7 };

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[test]
    fn what_messages_beside_say_is_laid_over_an_image_and_never_over_each_other() {
        let mut books = Books::new();
        let mut known = |text: &str, code| {
            let news = if text.starts_with('{') {
                json::read(text, Some(code)).unwrap()
            } else {
                partial::read(text, code).unwrap()
            };
            take(&mut books, KEY, &news);
            complete(&mut books, code, KEY);
            books.get(&(code, KEY)).unwrap().tick(0).update()
        };
        let limits = |tick: Tick, upper| tick.upper_circuit(price(upper)).lower_circuit(price("1"));
        let interest = Tick::new(0).oi(5);
        assert_eq!(known("t:2_7,110:9,111:1", Code::Bands), limits(Tick::new(0), "9"));
        assert_eq!(known("t:2_7,o:5", Code::OpenInterest), interest);
        let image = r#"{"ExchangeSegment":2,"ExchangeInstrumentID":7,"LastTradedPrice":3}"#;
        assert_eq!(known(image, Code::Touchline), limits(interest.ltp(price("3")), "9"));
        assert_eq!(known("t:2_7,110:8", Code::Bands), limits(Tick::new(0), "8"));
        assert_eq!(known(image, Code::Touchline), limits(interest.ltp(price("3")), "8"));
    }

    #[test]
    fn an_answer_takes_the_place_of_no_event_that_came_before_it() {
        let answer = r#"{"ExchangeSegment":2,"ExchangeInstrumentID":7,"LastTradedPrice":3,"Open":2}"#;
        let answer = json::read(answer, Some(Code::Touchline)).unwrap();
        let place = (Code::Touchline, KEY);
        let known = |books: &Books| books.get(&place).unwrap().tick(0).update();
        let mut books = Books::new();
        assert!(take_answer(&mut books, KEY, &answer));
        assert_eq!(known(&books), Tick::new(0).ltp(price("3")).open(price("2")));
        let event = r#"{"ExchangeSegment":2,"ExchangeInstrumentID":7,"LastTradedPrice":4,"Close":1}"#;
        take(&mut books, KEY, &json::read(event, Some(Code::Touchline)).unwrap());
        assert!(!take_answer(&mut books, KEY, &answer));
        assert_eq!(known(&books), Tick::new(0).ltp(price("4")).close(price("1")));
        // What has changed alone leaves the rest to the answer.
        let mut books = Books::new();
        take(&mut books, KEY, &partial::read("t:2_7,ltp:5", Code::Touchline).unwrap());
        assert!(take_answer(&mut books, KEY, &answer));
        assert_eq!(known(&books), Tick::new(0).ltp(price("5")).open(price("2")));
    }

    #[test]
    fn a_whole_book_replaces_all_rows_and_a_change_its_own() {
        let mut books = Books::new();
        let mut rows = |text: &str| {
            let news = if text.starts_with('{') {
                json::read(text, Some(Code::Depth)).unwrap()
            } else {
                partial::read(text, Code::Depth).unwrap()
            };
            let known = take(&mut books, KEY, &news);
            known.book().buy().iter().map(|level| level.quantity).collect::<Vec<_>>()
        };
        let image = r#"{"ExchangeSegment":2,"ExchangeInstrumentID":7,"Bids":[{"Size":5,"Price":9},{"Size":6,"Price":8}]}"#;
        assert_eq!(rows(image), [5, 6]);
        assert_eq!(rows("t:2_7,bi:1|7||"), [5, 7]);
        assert_eq!(rows("t:2_7,bi:0||0|"), [7]);
        assert_eq!(rows(r#"{"ExchangeSegment":2,"ExchangeInstrumentID":7,"Bids":[]}"#), [0; 0]);
    }
}
