//! From the text of a calendar file to a [`Calendar`].

use std::{collections::BTreeMap, time::Duration};

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::{
    Calendar, CalendarError, MAX_FILE_BYTES, Market, Season, Session,
    date::{Date, NotATime, TimeOfDay},
};
use crate::text::line_at;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MAX_EXCHANGE_BYTES: usize = 32;
const MAX_GRACE_SECONDS: u32 = 3_600;
const MAX_PRE_OPEN_MINUTES: u32 = 240;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCalendar {
    #[serde(default = "usual_grace")]
    grace_seconds: u32,
    covers: RawRange,
    #[serde(default)]
    market: Vec<RawMarket>,
}

const fn usual_grace() -> u32 {
    60
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRange {
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMarket {
    name: String,
    exchanges: Vec<String>,
    #[serde(default)]
    always_open: bool,
    #[serde(default = "working_days")]
    days: Vec<String>,
    #[serde(default)]
    pre_open_minutes: u32,
    #[serde(default)]
    sessions: Vec<String>,
    #[serde(default)]
    seasons: Vec<RawSeason>,
    #[serde(default)]
    holidays: Vec<String>,
    #[serde(default)]
    special: Vec<RawSpecial>,
}

fn working_days() -> Vec<String> {
    WEEKDAYS.iter().take(5).map(|day| (*day).to_owned()).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeason {
    from: String,
    to: String,
    sessions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpecial {
    date: String,
    sessions: Vec<String>,
}

pub(super) fn parse(text: &str) -> Result<Calendar, CalendarError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(CalendarError::Syntax(format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    let raw: RawCalendar =
        toml::from_str(text).map_err(|error| CalendarError::Syntax(described(text, &error)))?;
    let syntax = |error: NotATime| CalendarError::Syntax(error.to_string());
    if raw.grace_seconds > MAX_GRACE_SECONDS {
        return Err(CalendarError::Syntax(format!("grace_seconds must be at most {MAX_GRACE_SECONDS}")));
    }
    let covers = range(&raw.covers.from, &raw.covers.to).map_err(|error| match error {
        Wrong::Time(error) => syntax(error),
        Wrong::Says(message) => CalendarError::Syntax(format!("covers: {message}")),
    })?;
    let mut markets = Vec::with_capacity(raw.market.len());
    let mut by_exchange = FxHashMap::default();
    for raw in raw.market {
        let name: String = raw.name.chars().take(64).collect();
        let wrong = |message: String| CalendarError::Market { market: name.clone(), message };
        for exchange in &raw.exchanges {
            if exchange.is_empty() || exchange.len() > MAX_EXCHANGE_BYTES {
                return Err(wrong(format!("an exchange has 1 to {MAX_EXCHANGE_BYTES} bytes")));
            }
            if by_exchange.insert(exchange.as_str().into(), markets.len()).is_some() {
                return Err(wrong(format!("exchange {exchange} is named twice")));
            }
        }
        markets.push(market(&raw).map_err(|error| wrong(error.to_string()))?);
    }
    Ok(Calendar { markets, by_exchange, grace: Duration::from_secs(raw.grace_seconds.into()), covers })
}

/// What the parser says, in one line.
fn described(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', "; ");
    match error.span() {
        Some(span) => format!("line {}: {message}", line_at(text, span.start)),
        None => message,
    }
}

/// What is wrong with a market.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error(transparent)]
    Time(#[from] NotATime),
    #[error("{0}")]
    Says(String),
}

fn says<T>(message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Says(message.into()))
}

fn market(raw: &RawMarket) -> Result<Market, Wrong> {
    let mut weekdays = [false; 7];
    for day in &raw.days {
        let place = WEEKDAYS.iter().position(|known| known == day).and_then(|place| weekdays.get_mut(place));
        let Some(place) = place else {
            let shown: String = day.chars().take(16).collect();
            return says(format!("{shown:?} is no day; days are {}", WEEKDAYS.join(", ")));
        };
        *place = true;
    }
    if raw.pre_open_minutes > MAX_PRE_OPEN_MINUTES {
        return says(format!("pre_open_minutes must be at most {MAX_PRE_OPEN_MINUTES}"));
    }
    let usual = sessions(&raw.sessions)?;
    if usual.is_empty() != raw.always_open {
        return says("needs sessions such as [\"09:15-15:30\"], or always_open = true without any");
    }
    let mut seasons: Vec<Season> = Vec::with_capacity(raw.seasons.len());
    for season in &raw.seasons {
        let (from, to) = range(&season.from, &season.to)?;
        if seasons.iter().any(|other| other.from <= to && from <= other.to) {
            return says(format!("the season from {from} overlaps with another"));
        }
        seasons.push(Season { from, to, sessions: sessions(&season.sessions)? });
    }
    let mut dates = BTreeMap::new();
    for holiday in &raw.holidays {
        let date: Date = holiday.parse()?;
        if dates.insert(date, Vec::new()).is_some() {
            return says(format!("{date} is named twice"));
        }
    }
    for special in &raw.special {
        let date: Date = special.date.parse()?;
        let sessions = sessions(&special.sessions)?;
        if sessions.is_empty() {
            return says(format!(
                "the special session of {date} has no hours; a day without any is a holiday"
            ));
        }
        if dates.insert(date, sessions).is_some() {
            return says(format!("{date} is named twice"));
        }
    }
    Ok(Market {
        is_always_open: raw.always_open,
        weekdays,
        pre_open_minutes: raw.pre_open_minutes,
        sessions: usual,
        seasons,
        dates,
    })
}

/// Sessions of one day, in order.
fn sessions(texts: &[String]) -> Result<Vec<Session>, Wrong> {
    let mut sessions: Vec<Session> = Vec::with_capacity(texts.len());
    for text in texts {
        let no_session = || NotATime::new(text, "a session such as 09:15-15:30");
        let (from, to) = text.split_once('-').ok_or_else(no_session)?;
        let (from, to): (TimeOfDay, TimeOfDay) = (from.trim().parse()?, to.trim().parse()?);
        if from >= to || sessions.last().is_some_and(|before| from < before.to) {
            return says(format!(
                "{text:?} ends before it begins, or begins before the session in front of it ends"
            ));
        }
        sessions.push(Session { from, to });
    }
    Ok(sessions)
}

fn range(from: &str, to: &str) -> Result<(Date, Date), Wrong> {
    let (from, to): (Date, Date) = (from.parse()?, to.parse()?);
    if from > to { says(format!("{from} is after {to}")) } else { Ok((from, to)) }
}
