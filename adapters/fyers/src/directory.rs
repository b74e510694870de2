//! From what clients call an instrument to the topic that brings it: by the list, and by what the broker says
//! besides.

use std::rc::Rc;

use adapter_sdk::{
    Refusal, Subscription,
    session::{Live, Questions},
    tracing::warn,
};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{
    convert::{Converted, Verdict},
    indices::Indices,
    instruments::Instruments,
    session::FyersFeed,
    topic::{Fytoken, Topic},
};

/// Most answers of the broker that are remembered. Whoever asks for more of them asks again.
const MAX_REMEMBERED: usize = 50_000;

/// An instrument as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) fytoken: Fytoken,
    /// The broker's symbol.
    pub(crate) ticker: String,
}

/// What is wanted under a number of the host.
#[derive(Debug)]
struct Known {
    listed: Listed,
    topic: Option<Topic>,
}

/// The numbers of symbols, as the broker is asked for them.
pub(crate) type SymbolTokens = Questions<Listed, Converted>;

/// What the broker has said besides its list on this connection. On the next one it is asked again: numbers
/// may have changed while this side was away.
#[derive(Debug)]
pub(crate) struct Directory {
    indices: Rc<Indices>,
    /// None when the list's word is enough.
    questions: Option<SymbolTokens>,
    said: FxHashMap<Fytoken, Verdict>,
    /// Whether the broker has another number for anything than the list has: then the list's numbers may be
    /// those of other instruments by now, and are not used alone any more.
    is_doubtful: bool,
    /// By number of the host. What is wanted no more goes when there is much of it.
    known: FxHashMap<u32, Known>,
    tidy_above: usize,
}

/// What the list says of an instrument.
fn listed(list: &Instruments, wanted: &Subscription) -> Result<Listed, Refusal> {
    let fytoken = list.find(&wanted.exchange, &wanted.symbol)?;
    let nowhere = || Refusal::not_found(&wanted.exchange, &wanted.symbol);
    Ok(Listed { fytoken, ticker: ticker_of(list.own_name(fytoken).ok_or_else(nowhere)?) })
}

fn ticker_of((exchange, symbol): (&str, &str)) -> String {
    format!("{exchange}:{symbol}")
}

impl Directory {
    pub(crate) fn new(indices: Rc<Indices>, questions: Option<SymbolTokens>) -> Self {
        Self {
            indices,
            questions,
            said: FxHashMap::default(),
            is_doubtful: false,
            known: FxHashMap::default(),
            tidy_above: 0,
        }
    }

    /// Another list is in force. What it has under the same number and symbol goes on; of everything else
    /// nothing was said. Gives what is to be placed again: everything, if the number of anything is that of
    /// another instrument now.
    pub(crate) fn begin_list(&mut self, list: &Instruments) -> Vec<u32> {
        if let Some(questions) = &mut self.questions {
            questions.forget();
        }
        self.is_doubtful = false;
        let is_strange = |Listed { fytoken, ticker }: &Listed| {
            // Of a number that only the broker has said nobody knows what it means today.
            let is_own = !matches!(self.said.get(fytoken), Some(Verdict::Use(other)) if other != fytoken);
            !is_own || list.own_name(*fytoken).is_some_and(|name| ticker_of(name) != *ticker)
        };
        let is_moved = self.known.values().any(|known| known.topic.is_some() && is_strange(&known.listed));
        self.said.clear();
        if is_moved { self.known.keys().copied().collect() } else { Vec::new() }
    }

    /// Whether the broker is to be asked where an instrument is. Another mode is no reason to ask again, and
    /// neither is another list that says the same of it. Indices have names, not numbers, which nobody has to
    /// be asked for.
    pub(crate) fn must_ask(&mut self, list: &Instruments, wanted: &Subscription) -> bool {
        let Ok(listed) = listed(list, wanted) else {
            self.known.remove(&wanted.instrument);
            return false;
        };
        let is_said = self.said.contains_key(&listed.fytoken) || wanted.is_index();
        let is_placed = match self.known.get(&wanted.instrument) {
            Some(known) if known.listed == listed => known.topic.is_some(),
            _ => {
                self.known.insert(wanted.instrument, Known { listed, topic: None });
                false
            }
        };
        !is_placed && !is_said && self.questions.as_ref().is_some_and(Questions::is_open)
    }

    /// Where an instrument is, by the list where the broker has said nothing.
    ///
    /// # Errors
    /// When it has no topic, or the broker does not agree that it has this one.
    pub(crate) fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Topic, Refusal> {
        if let Some(topic) = self.known.get(&wanted.instrument).and_then(|known| known.topic) {
            return Ok(topic);
        }
        let listed = listed(list, wanted)?;
        let nowhere = || Refusal::not_found(&wanted.exchange, &wanted.symbol);
        if wanted.is_index() {
            return self.indices.topic(&listed.ticker).ok_or_else(nowhere);
        }
        let fytoken = match self.said.get(&listed.fytoken).copied() {
            Some(Verdict::Use(fytoken)) => fytoken,
            Some(Verdict::Unknown) => return Err(nowhere()),
            None | Some(Verdict::Unsaid) if !self.is_doubtful => listed.fytoken,
            None | Some(Verdict::Unsaid | Verdict::Contradiction) => {
                return Err(Refusal::Refused(format!(
                    "The broker's list and the broker itself disagree on what {} is",
                    wanted.symbol
                )));
            }
        };
        fytoken.topic().ok_or_else(nowhere)
    }

    /// Notes where an instrument is now. Gives the broker's symbol of it.
    pub(crate) fn placed(&mut self, instrument: u32, topic: Topic) -> &str {
        self.known.get_mut(&instrument).map_or("", |known| {
            known.topic = Some(topic);
            &known.listed.ticker
        })
    }

    /// An instrument is there no more.
    pub(crate) fn release(&mut self, instrument: u32) {
        if let Some(known) = self.known.get_mut(&instrument) {
            known.topic = None;
        }
    }

    /// Waits for the broker's answer; for ever when it was not asked.
    pub(crate) async fn wait(&mut self) {
        match &mut self.questions {
            Some(questions) => questions.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Takes the broker's answer, and asks for what waits.
    pub(crate) fn advance(&mut self, now: Instant, live: &mut Live<FyersFeed>) {
        if self.known.len() > self.tidy_above {
            self.known.retain(|instrument, _| live.wanted(*instrument).is_some());
            self.tidy_above = self.known.len() * 2 + 64;
        }
        if let Some((asked, converted)) = self.questions.as_mut().and_then(|questions| questions.answer(now))
        {
            self.learn(&asked, &converted);
        }
        let Self { questions: Some(questions), known, said, .. } = self else { return };
        questions.ask(now, live, |wanted| {
            let listed = &known.get(&wanted.instrument)?.listed;
            (!said.contains_key(&listed.fytoken)).then(|| listed.clone())
        });
    }

    /// Remembers what the broker said of these.
    fn learn(&mut self, asked: &[Listed], converted: &Converted) {
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
    use std::time::Duration;

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
        Subscription::new(1, exchange, symbol, Mode::Ltp, 0)
    }

    fn list() -> Instruments {
        Instruments::parse_all([LIST.as_bytes()]).unwrap()
    }

    fn directory(asks: bool) -> Directory {
        let questions = SymbolTokens::new(500, Duration::ZERO, |_| std::future::pending());
        Directory::new(Rc::new(Indices::bundled()), asks.then_some(questions))
    }

    fn topic(directory: &Directory, exchange: &str, symbol: &str) -> String {
        match directory.find(&list(), &wanted(exchange, symbol)) {
            Ok(topic) => topic.of(topic.prices()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn without_asking_the_list_says_it() {
        let mut directory = directory(false);
        assert!(!directory.must_ask(&list(), &wanted("NSE", "SBIN")));
        assert_eq!(topic(&directory, "NSE", "SBIN"), "sf|nse_cm|3045");
        assert_eq!(topic(&directory, "NSE_INDEX", "NIFTY"), "if|nse_cm|Nifty 50");
        for (exchange, symbol, said) in [
            ("NSE", "NIFTY", "not found"),
            ("NFO", "NIFTY30SEP25FUT", "has expired"),
            ("BSE", "SBIN", "not found"),
        ] {
            assert!(topic(&directory, exchange, symbol).contains(said), "{symbol}");
        }
    }

    #[test]
    fn the_broker_is_asked_once_and_of_indices_never() {
        let mut directory = directory(true);
        let (sbin, infy) = (wanted("NSE", "SBIN"), wanted("NSE", "INFY"));
        assert!(!directory.must_ask(&list(), &wanted("NSE_INDEX", "NIFTY")));
        assert_eq!(topic(&directory, "NSE_INDEX", "NIFTY"), "if|nse_cm|Nifty 50");
        assert!(directory.must_ask(&list(), &sbin), "nobody asks");
        let asked = [&sbin, &infy].map(|wanted| listed(&list(), wanted).unwrap());
        assert_eq!(asked[0].ticker, "NSE:SBIN-EQ");
        assert_eq!(topic(&directory, "NSE", "SBIN"), "sf|nse_cm|3045");
        let said = Converted::of(&[("NSE:SBIN-EQ", "10100000003046"), ("NSE:INFY-EQ", "101126092900001")]);
        directory.learn(&asked, &said);
        assert!(!directory.must_ask(&list(), &sbin));
        assert_eq!(topic(&directory, "NSE", "SBIN"), "sf|nse_cm|3046");
        assert!(topic(&directory, "NSE", "INFY").contains("disagree"), "another segment cannot be it");
        // A list that is wrong once is not believed alone.
        assert!(topic(&directory, "NSE", "TCS").contains("disagree"));
        // Another list, and nothing is known of it.
        assert!(directory.begin_list(&list()).is_empty());
        assert!(directory.must_ask(&list(), &sbin));
        // What has a topic keeps it while the list says the same: in another mode, and by another list.
        let place = directory.find(&list(), &sbin).unwrap();
        assert_eq!(directory.placed(1, place), "NSE:SBIN-EQ");
        assert!(directory.begin_list(&list()).is_empty());
        assert!(!directory.must_ask(&list(), &sbin));
        assert_eq!(directory.placed(1, place), "NSE:SBIN-EQ");
        directory.release(1);
        assert!(directory.must_ask(&list(), &sbin));
    }
}
