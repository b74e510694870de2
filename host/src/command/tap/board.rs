//! What was last heard of each symbol, and the picture of it. Knows no terminal: time and size are handed in.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    connection::{Feed, Refusal, Tick},
    format::{self, ABSENT, printable},
};

/// Silence after which a row is shown as old.
const STALE: Duration = Duration::from_secs(5);

/// Over this time ticks are counted for the rate.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// How a piece of text is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Plain,
    Header,
    Up,
    Down,
    Dim,
    Warning,
}

/// One line of the picture: pieces of text, together no wider than the screen.
pub(super) type Line = Vec<(Style, String)>;

/// All rows, and the state of the connection.
#[derive(Debug)]
pub(super) struct Board {
    rows: Vec<Row>,
    url: String,
    trouble: Option<String>,
    /// What the host says of its way to the broker, while that is not as it should be.
    feed: Option<String>,
    ticks: u64,
    rate: Rate,
}

#[derive(Debug)]
struct Row {
    name: String,
    data: Value,
    heard_at: Option<Instant>,
    direction: Style,
    refusal: Option<String>,
    rate: Rate,
}

/// Ticks in a second, measured over the last whole window.
#[derive(Debug)]
struct Rate {
    since: Instant,
    count: u32,
    per_second: f64,
}

impl Rate {
    const fn new(now: Instant) -> Self {
        Self { since: now, count: 0, per_second: 0.0 }
    }

    fn look(&mut self, now: Instant) -> f64 {
        let elapsed = now.duration_since(self.since);
        if elapsed >= RATE_WINDOW {
            self.per_second = f64::from(self.count) / elapsed.as_secs_f64();
            (self.since, self.count) = (now, 0);
        }
        self.per_second
    }
}

/// A column: its title, alignment, and text for a row.
struct Column {
    title: &'static str,
    /// Columns with a high rank are given up first when the terminal is narrow.
    rank: u8,
    is_left: bool,
    /// The member that few instruments have: the column is left out when no row has it.
    needs: Option<&'static str>,
    cell: fn(&mut Row, Instant) -> Option<String>,
}

/// From left to right. The age is among the last to go, as a price without it may be an old one.
const COLUMNS: [Column; 12] = [
    Column { is_left: true, ..column("SYMBOL", 0, |row, _| Some(row.name.clone())) },
    column("LTP", 1, |row, _| format::price_of(&row.data, "ltp")),
    column("CHANGE", 4, |row, _| format::change_of(&row.data, "change")),
    column("%", 3, |row, _| format::percent_of(&row.data, "change_percent")),
    column("BID", 5, |row, _| format::price_of(&row.data, "bid_price")),
    column("ASK", 6, |row, _| format::price_of(&row.data, "ask_price")),
    column("VOLUME", 7, |row, _| format::quantity_of(&row.data, "volume")),
    Column { needs: Some("oi"), ..column("OI", 8, |row, _| format::quantity_of(&row.data, "oi")) },
    Column {
        needs: Some("greeks"),
        ..column("DELTA", 9, |row, _| format::price_of(row.data.get("greeks")?, "delta"))
    },
    Column {
        needs: Some("implied_volatility"),
        ..column("IV %", 10, |row, _| format::price_of(&row.data, "implied_volatility"))
    },
    column("TICKS/S", 11, |row, now| Some(format!("{:.1}", row.rate.look(now)))),
    column("AGE", 2, |row, now| row.age(now)),
];

/// A column that every row has something for, its text on the right.
const fn column(title: &'static str, rank: u8, cell: fn(&mut Row, Instant) -> Option<String>) -> Column {
    Column { title, rank, is_left: false, needs: None, cell }
}

impl Row {
    fn age(&self, now: Instant) -> Option<String> {
        let age = now.duration_since(self.heard_at?);
        Some(match age.as_secs() {
            0..10 => format!("{:.1} s", age.as_secs_f64()),
            seconds @ 10..120 => format!("{seconds} s"),
            seconds => format!("{} min", seconds / 60),
        })
    }

    fn style(&self, now: Instant) -> Style {
        match self.heard_at {
            Some(at) if now.duration_since(at) <= STALE => self.direction,
            _ => Style::Dim,
        }
    }
}

impl Board {
    pub(super) fn new(symbols: &[(String, String)], url: &str, now: Instant) -> Self {
        let row = |(exchange, symbol): &(String, String)| Row {
            name: printable(&format!("{exchange}:{symbol}")),
            data: Value::Null,
            heard_at: None,
            direction: Style::Plain,
            refusal: None,
            rate: Rate::new(now),
        };
        Self {
            rows: symbols.iter().map(row).collect(),
            url: printable(url),
            trouble: None,
            feed: None,
            ticks: 0,
            rate: Rate::new(now),
        }
    }

    /// Takes a tick. Symbols that were not asked for are left out.
    pub(super) fn tick(&mut self, tick: &Tick, now: Instant) {
        self.ticks += 1;
        self.rate.count += 1;
        for row in self.rows.iter_mut().filter(|row| row.name == tick.name) {
            let last = |data: &Value| data.get("ltp").and_then(Value::as_f64);
            row.direction = match (last(&row.data), last(&tick.data)) {
                (Some(before), Some(after)) if after > before => Style::Up,
                (Some(before), Some(after)) if after < before => Style::Down,
                _ => row.direction,
            };
            row.data.clone_from(&tick.data);
            row.heard_at = Some(now);
            row.refusal = None;
            row.rate.count += 1;
        }
    }

    /// The host does not give a symbol, or no longer.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        for row in self.rows.iter_mut().filter(|row| row.name == refusal.name) {
            row.refusal = Some(refusal.reason.clone());
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self, reason: &str) {
        self.trouble = Some(printable(reason));
        self.feed = None;
    }

    /// The way from the host to the broker is in this state from now on.
    pub(super) fn feed(&mut self, feed: &Feed) {
        self.feed = (!feed.is_live()).then(|| printable(&feed.to_string()));
    }

    /// The connection is there again, with no word yet on what it gives.
    pub(super) fn found(&mut self) {
        self.trouble = None;
        self.rows.iter_mut().for_each(|row| row.refusal = None);
    }

    /// The picture, no larger than the screen.
    pub(super) fn render(&mut self, width: usize, height: usize, now: Instant) -> Vec<Line> {
        let mut lines = self.table(width, now);
        lines.extend(self.rows.iter().filter(|row| row.data.get("depth").is_some()).flat_map(ladder));
        lines.truncate(height.saturating_sub(1));
        lines.push(self.status(now));
        lines.into_iter().map(|line| cut(line, width)).collect()
    }

    fn table(&mut self, width: usize, now: Instant) -> Vec<Line> {
        let cells: Vec<Vec<String>> = self
            .rows
            .iter_mut()
            .map(|row| {
                COLUMNS
                    .iter()
                    .map(|column| (column.cell)(row, now).unwrap_or_else(|| ABSENT.to_owned()))
                    .collect()
            })
            .collect();
        let is_known = |member| self.rows.iter().any(|row| row.data.get(member).is_some());
        let widths = widths(&cells, width, &|column| column.needs.is_none_or(is_known));
        let joined = |texts: &mut dyn Iterator<Item = &str>| {
            let columns = COLUMNS.iter().zip(&widths).zip(texts);
            let padded = columns.filter_map(|((column, width), text)| {
                let width = (*width)?;
                Some(if column.is_left { format!("{text:<width$}") } else { format!("{text:>width$}") })
            });
            padded.collect::<Vec<_>>().join("  ")
        };
        let mut lines = vec![vec![(Style::Header, joined(&mut COLUMNS.iter().map(|column| column.title)))]];
        for (row, cells) in self.rows.iter().zip(&cells) {
            lines.push(match &row.refusal {
                Some(reason) => vec![(Style::Warning, format!("{}  {reason}", row.name))],
                None => vec![(row.style(now), joined(&mut cells.iter().map(String::as_str)))],
            });
        }
        lines
    }

    fn status(&mut self, now: Instant) -> Line {
        let (url, rate) = (&self.url, self.rate.look(now));
        match (&self.trouble, &self.feed) {
            (Some(trouble), _) => {
                vec![(Style::Warning, format!("q to quit  connecting again  {url}  {trouble}"))]
            }
            // The prices above may be old ones: this must not be cut off by a long address.
            (None, Some(feed)) => vec![(Style::Warning, format!("q to quit  {feed}  {url}"))],
            (None, None) => vec![(
                Style::Dim,
                format!("q to quit  connected  {} ticks, {rate:.1} a second  {url}", self.ticks),
            )],
        }
    }
}

/// The width of each column, none for those that find no place.
fn widths(cells: &[Vec<String>], width: usize, is_shown: &dyn Fn(&Column) -> bool) -> Vec<Option<usize>> {
    let mut widths: Vec<_> = vec![None; COLUMNS.len()];
    let mut by_rank: Vec<_> = COLUMNS.iter().zip(&mut widths).enumerate().collect();
    by_rank.sort_by_key(|(_, (column, _))| column.rank);
    let mut used = 0;
    for (place, (column, chosen)) in by_rank {
        if !is_shown(column) {
            continue;
        }
        let column_cells = cells.iter().filter_map(|cells| cells.get(place));
        let widest = column_cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(column.title.len());
        used += widest + if place == 0 { 0 } else { 2 };
        if used > width && column.rank > 1 {
            break;
        }
        *chosen = Some(widest);
    }
    widths
}

/// The book of a row: bids on the left, asks on the right, best first.
fn ladder(row: &Row) -> Vec<Line> {
    let side = |name: &str| {
        let levels = row.data.get("depth").and_then(|depth| depth.get(name)).and_then(Value::as_array);
        levels.map(Vec::as_slice).unwrap_or_default()
    };
    let cells = |level: Option<&Value>| {
        let Some(level) = level else { return [String::new(), String::new(), String::new()] };
        let part = |text: Option<String>| text.unwrap_or_else(|| ABSENT.to_owned());
        [
            part(format::quantity_of(level, "orders")),
            part(format::quantity_of(level, "quantity")),
            part(format::price_of(level, "price")),
        ]
    };
    let (buy, sell) = (side("buy"), side("sell"));
    let titles = format!(
        "{:>8} {:>10} {:>12}  {:<12} {:<10} {:<8}",
        "ORDERS", "QUANTITY", "BID", "ASK", "QUANTITY", "ORDERS"
    );
    let mut lines = vec![Line::new(), vec![(Style::Header, row.name.clone())], vec![(Style::Header, titles)]];
    for place in 0..buy.len().max(sell.len()) {
        let [buy_orders, buy_quantity, bid] = cells(buy.get(place));
        let [sell_orders, sell_quantity, ask] = cells(sell.get(place));
        lines.push(vec![
            (Style::Up, format!("{buy_orders:>8} {buy_quantity:>10} {bid:>12}")),
            (Style::Down, format!("  {ask:<12} {sell_quantity:<10} {sell_orders:<8}")),
        ]);
    }
    lines
}

/// The line without what is wider than the screen.
fn cut(line: Line, width: usize) -> Line {
    let mut left = width;
    line.into_iter()
        .map(|(style, text)| {
            let text: String = text.trim_end().chars().take(left).collect();
            left -= text.chars().count();
            (style, text)
        })
        .collect()
}
