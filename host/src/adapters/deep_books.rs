//! How many large books a library says that its broker gives.

use serde::{Deserialize, Serialize};

/// Longest description of limits, in bytes.
const MAX_LIMITS_BYTES: usize = 64 * 1_024;

/// How many deep books one connection carries, as a library says it for its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepBooks {
    /// Books on one connection; 0 where the account has none.
    pub per_connection: u32,
    /// Levels above which a book is deep.
    pub above_levels: u16,
}

impl DeepBooks {
    /// Reads what a library says of its limits: a JSON object, of which it may say nothing. What makes no
    /// sense is as good as nothing: the library keeps to its own limits.
    pub(super) fn read(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Limits {
            deep_books: Option<DeepBooks>,
        }
        let is_short = json.len() <= MAX_LIMITS_BYTES;
        serde_json::from_str(json).ok().filter(|_| is_short).and_then(|limits: Limits| limits.deep_books)
    }
}
