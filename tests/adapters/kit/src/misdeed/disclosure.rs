//! Shows credentials wherever an adapter can put a text: log, standard output and error, an outcome, a
//! status.

use std::io::Write as _;

use adapter_sdk::{AdapterError, Credentials, Refusal, TickSink, tracing};

use crate::ticker::Ticker;

/// Beginning of the symbols that are refused with a credential in the refusal, before others.
const SYMBOL_PREFIX: &str = "SECRET";

/// Every value that the adapter was given.
///
/// Credentials are asked for by name; that their debug output is a set of all names is what helps here.
pub(crate) fn values_of(credentials: &Credentials) -> Vec<String> {
    let names = format!("{credentials:?}");
    let quoted = names.split('"').skip(1).step_by(2);
    quoted.filter_map(|name| credentials.get(name)).map(str::to_owned).collect()
}

/// Shows them, and gives the error that ends the connection and shows one more.
pub(crate) fn show(secrets: &[String], ticker: &Ticker, sink: &mut TickSink) -> AdapterError {
    for secret in secrets {
        tracing::error!(secret, "Logged in with {secret}");
        // Nobody may read these, and then nothing is shown.
        let _closed = writeln!(std::io::stdout(), "logged in with {secret}");
        let _closed = writeln!(std::io::stderr(), "logged in with {secret}");
    }
    let secret = secrets.first().map_or("nothing", String::as_str);
    let victim = ticker.wanted().max_by_key(|(number, symbol)| (symbol.starts_with(SYMBOL_PREFIX), *number));
    if let Some((instrument, _)) = victim {
        sink.outcome(instrument, Err(Refusal::Refused(format!("not entitled with {secret}"))));
    }
    AdapterError::network(format!("GET /login?token={secret} was reset"))
}
