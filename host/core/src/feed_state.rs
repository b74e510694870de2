//! What a feed is said to be, in frames, on status pages and in logs.

/// State of a feed, as everybody sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeedState {
    /// Made, but no connection was tried yet.
    #[default]
    Starting,
    /// A connection is being made, or made again.
    Connecting,
    /// All connections are up.
    Live,
    /// Up, subscribed, and silent for too long.
    Stale,
    /// The broker refused the credentials; new ones are waited for.
    AuthFailed,
    /// The adapter failed; it will be started again.
    Down,
    /// Ended.
    Closed,
}

impl FeedState {
    /// The spelling in status pages, metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::AuthFailed => "auth_failed",
            Self::Down => "down",
            Self::Closed => "closed",
        }
    }
}
