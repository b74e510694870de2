//! From what clients call an instrument to the topic that brings it.

use std::{rc::Rc, sync::Arc};

use adapter_sdk::{Refusal, Subscription, tracing::warn};
use rustc_hash::FxHashMap;

use crate::{
    convert::{Converted, Verdict},
    indices::Indices,
    instruments::Instruments,
    topic::{Fytoken, Topic},
};

/// Where an instrument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its topic.
    Topic(Topic),
    /// The broker is to be asked for it first.
    Ask(Listed),
}

/// An instrument as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) fytoken: Fytoken,
    /// The broker's symbol.
    pub(crate) ticker: String,
}

/// Most answers of the broker that are remembered. Whoever asks for more of them asks again.
const MAX_REMEMBERED: usize = 50_000;

/// The present list, and what the broker has said besides on this connection. On the next one it is asked anew: numbers may
/// have changed while this side was away.
#[derive(Debug)]
pub(crate) struct Directory {
    list: Arc<Instruments>,
    indices: Rc<Indices>,
    said: FxHashMap<Fytoken, Verdict>,
    /// Whether the broker has another number for anything than the list has: then the list's numbers may be those of other
    /// instruments by now, and are not used alone any more.
    is_doubtful: bool,
    /// Whether the broker is asked at all.
    asks: bool,
}

impl Directory {
    pub(crate) fn new(list: Arc<Instruments>, indices: Rc<Indices>, asks: bool) -> Self {
        Self { list, indices, said: FxHashMap::default(), is_doubtful: false, asks }
    }

    /// Another list is in force.
    pub(crate) fn renew(&mut self, list: Arc<Instruments>) {
        self.list = list;
        self.said.clear();
        self.is_doubtful = false;
    }

    /// What the list says of an instrument.
    ///
    /// # Errors
    /// When there is none, or it has expired.
    pub(crate) fn listed(&self, wanted: &Subscription) -> Result<Listed, Refusal> {
        let fytoken = self.list.find(&wanted.exchange, &wanted.symbol)?;
        let ticker =
            self.list.ticker(fytoken).ok_or_else(|| Refusal::not_found(&wanted.exchange, &wanted.symbol))?;
        Ok(Listed { fytoken, ticker })
    }

    /// Where an instrument is. When `is_urgent` the list is enough.
    ///
    /// # Errors
    /// When it has no topic, or the broker does not agree that it has this one.
    pub(crate) fn place(&self, wanted: &Subscription, is_urgent: bool) -> Result<Place, Refusal> {
        let listed = self.listed(wanted)?;
        let nowhere = || Refusal::not_found(&wanted.exchange, &wanted.symbol);
        if wanted.exchange.ends_with("_INDEX") {
            // Indices have names, not numbers, which nobody has to be asked for.
            return self.indices.topic(&listed.ticker).map(Place::Topic).ok_or_else(nowhere);
        }
        let fytoken = match self.said.get(&listed.fytoken).copied() {
            Some(Verdict::Use(fytoken)) => fytoken,
            Some(Verdict::Unknown) => return Err(nowhere()),
            None if self.asks && !is_urgent => return Ok(Place::Ask(listed)),
            None | Some(Verdict::Unsaid) if !self.is_doubtful => listed.fytoken,
            None | Some(Verdict::Unsaid | Verdict::Contradiction) => {
                return Err(Refusal::Refused(format!(
                    "The broker's list and the broker itself disagree on what {} is",
                    wanted.symbol
                )));
            }
        };
        fytoken.topic().map(Place::Topic).ok_or_else(nowhere)
    }

    /// Remembers what the broker said of these.
    pub(crate) fn learn(&mut self, asked: &[Listed], converted: &Converted) {
        if self.said.len() >= MAX_REMEMBERED {
            self.said.clear();
        }
        let mut changed = 0;
        for Listed { fytoken, ticker } in asked {
            let verdict = converted.verdict(ticker, *fytoken);
            changed += usize::from(verdict != Verdict::Use(*fytoken));
            self.is_doubtful |= matches!(verdict, Verdict::Use(other) if other != *fytoken);
            self.said.insert(*fytoken, verdict);
        }
        if changed > 0 {
            warn!(
                symbols = asked.len(),
                changed, "The broker does not say of all symbols what its list says"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::Mode;

    use super::*;

    const LIST: &str = "\
10100000003045,STATE BANK OF INDIA,0,1,0.05,,:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX
10100000001594,INFOSYS,0,1,0.05,,:,2026-10-03,,NSE:INFY-EQ,10,10,1594,INFY,1594,-1.0,XX
101000000011536,TATA CONSULTANCY,0,1,0.05,,:,2026-10-03,,NSE:TCS-EQ,10,10,11536,TCS,11536,-1.0,XX
101000000026000,NIFTY 50,10,1,0.05,,:,2026-10-03,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX
101125093099999,NIFTY 30 Sep 25 FUT,11,65,0.1,,:,2026-09-09,1759226400,NSE:NIFTY25SEPFUT,10,11,99999,NIFTY,26000,-1.0,XX
";

    fn wanted(exchange: &str, symbol: &str) -> Subscription {
        let (exchange, symbol) = (exchange.to_owned(), symbol.to_owned());
        Subscription { instrument: 1, exchange, symbol, mode: Mode::Ltp, depth: 0 }
    }

    fn directory(asks: bool) -> Directory {
        let list = Arc::new(Instruments::load([LIST.as_bytes()]).unwrap());
        Directory::new(list, Rc::new(Indices::bundled()), asks)
    }

    fn topic(place: Result<Place, Refusal>) -> String {
        match place {
            Ok(Place::Topic(topic)) => topic.of(topic.prices()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn without_asking_the_list_says_it() {
        let directory = directory(false);
        assert_eq!(topic(directory.place(&wanted("NSE", "SBIN"), false)), "sf|nse_cm|3045");
        assert_eq!(topic(directory.place(&wanted("NSE_INDEX", "NIFTY"), false)), "if|nse_cm|Nifty 50");
        for (exchange, symbol, said) in [
            ("NSE", "NIFTY", "not found"),
            ("NFO", "NIFTY30SEP25FUT", "has expired"),
            ("BSE", "SBIN", "not found"),
        ] {
            assert!(topic(directory.place(&wanted(exchange, symbol), false)).contains(said), "{symbol}");
        }
    }

    #[test]
    fn the_broker_is_asked_once_and_of_indices_never() {
        let mut directory = directory(true);
        let (sbin, infy) = (wanted("NSE", "SBIN"), wanted("NSE", "INFY"));
        assert_eq!(topic(directory.place(&wanted("NSE_INDEX", "NIFTY"), false)), "if|nse_cm|Nifty 50");
        let Ok(Place::Ask(listed)) = directory.place(&sbin, false) else { panic!("nobody asks") };
        assert_eq!(listed.ticker, "NSE:SBIN-EQ");
        assert_eq!(topic(directory.place(&sbin, true)), "sf|nse_cm|3045");
        let said = Converted::of(&[("NSE:SBIN-EQ", "10100000003046"), ("NSE:INFY-EQ", "101126092900001")]);
        directory.learn(&[listed, directory.listed(&infy).unwrap()], &said);
        assert_eq!(topic(directory.place(&sbin, false)), "sf|nse_cm|3046");
        assert!(topic(directory.place(&infy, true)).contains("disagree"), "another segment cannot be it");
        // A list that is wrong once is not believed alone.
        assert!(topic(directory.place(&wanted("NSE", "TCS"), true)).contains("disagree"));
        // Another list, and nothing is known of it.
        directory.renew(Arc::new(Instruments::load([LIST.as_bytes()]).unwrap()));
        assert!(matches!(directory.place(&sbin, false), Ok(Place::Ask(_))));
    }
}
