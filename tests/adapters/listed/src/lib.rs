//! The library `adapter_listed`: a broker whose list of instruments is a file. The test writes into a folder
//! what the broker has, and the adapter keeps there what it has read.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    Adapter, AdapterError, Capability, Connection, Context, Credentials, Grant, ListReporter, ListState,
    ListTrouble, Manifest, Refusal, Subscription, TickSink, testing::Ticker,
};

adapter_sdk::export_adapter!(Listed);

/// The adapter's table in `plugins.toml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder. Its files: `list`, the broker's symbols, one a line; `noon`, made by the test when the
    /// adapter is to take the list by itself, and removed when it has; `kept`, what the adapter took last,
    /// which another instance begins with; `most`, how many symbols a whole list has.
    broker: PathBuf,
}

/// The adapter.
#[derive(Debug)]
pub struct Listed {
    broker: PathBuf,
    lists: ListReporter,
    symbols: Rc<RefCell<BTreeSet<String>>>,
}

/// A connection. It looks whether the broker has made another list before each tick.
#[derive(Debug)]
pub struct Session {
    broker: PathBuf,
    lists: ListReporter,
    symbols: Rc<RefCell<BTreeSet<String>>>,
    ticker: Ticker,
}

impl Adapter for Listed {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("listed", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp])
            .limits(100, 1)
            .backoff(Ticker::backoff())
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        Ok(Self { broker: config.broker, lists: context.lists(), symbols: Rc::default() })
    }

    fn resolve(&self, subscription: &Subscription) -> Result<Grant, Refusal> {
        if self.symbols.borrow().contains(&subscription.symbol) {
            Ok(Grant::as_asked(subscription))
        } else {
            Err(unknown(&subscription.symbol))
        }
    }

    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        // As the adapters of brokers do: what was read today is not asked for again.
        let kept = self.broker.join("kept");
        if !kept.exists() {
            fs::copy(self.broker.join("list"), &kept).map_err(AdapterError::network)?;
        }
        take(&self.broker, &self.symbols, &self.lists)
    }

    async fn connect(&self, _credentials: &Credentials) -> Result<Session, AdapterError> {
        Ok(Session {
            broker: self.broker.clone(),
            lists: self.lists.clone(),
            symbols: Rc::clone(&self.symbols),
            ticker: Ticker::new(),
        })
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        self.ticker.subscribe(wanted, sink).await
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.ticker.unsubscribe(instruments).await
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let noon = self.broker.join("noon");
        tokio::select! {
            () = self.lists.asked() => self.renew(sink)?,
            () = self.ticker.beat() => {
                if noon.exists() {
                    self.renew(sink)?;
                    fs::remove_file(&noon).map_err(AdapterError::network)?;
                }
            }
        }
        self.ticker.tick(sink);
        Ok(())
    }
}

impl Session {
    /// Takes the broker's list, and ends what it does not have.
    fn renew(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        fs::copy(self.broker.join("list"), self.broker.join("kept")).map_err(AdapterError::network)?;
        take(&self.broker, &self.symbols, &self.lists)?;
        let symbols = self.symbols.borrow();
        self.ticker.retain(|instrument, symbol| {
            let is_there = symbols.contains(symbol);
            if !is_there {
                sink.outcome(instrument, Err(unknown(symbol)));
            }
            is_there
        });
        Ok(())
    }
}

/// Uses what was kept from now on, and says how it is.
fn take(
    broker: &Path,
    symbols: &RefCell<BTreeSet<String>>,
    lists: &ListReporter,
) -> Result<(), AdapterError> {
    let kept: BTreeSet<String> = fs::read_to_string(broker.join("kept"))
        .map_err(AdapterError::network)?
        .lines()
        .map(str::to_owned)
        .collect();
    let most = fs::read_to_string(broker.join("most")).map_err(AdapterError::network)?;
    let expected = most.trim().parse().map_err(|error| AdapterError::protocol(format!("most: {error}")))?;
    let rows = kept.len();
    *symbols.borrow_mut() = kept;
    let trouble = ListTrouble {
        segment: "NFO".to_owned(),
        rows,
        expected,
        reason: "the broker sent a torn list".to_owned(),
    };
    let fetched_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let is_whole = rows >= expected;
    let troubles = if is_whole { Vec::new() } else { vec![trouble] };
    let state = ListState { is_whole, instruments: rows, fetched_at, troubles, ..ListState::default() };
    lists.say(&state);
    Ok(())
}

fn unknown(symbol: &str) -> Refusal {
    Refusal::UnknownInstrument(format!("Symbol {symbol} not found on NFO"))
}
