//! Whose silence is judged by the hours of exchanges.

/// When the silence of a source means that something is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hours {
    /// While at least one of the subscribed exchanges trades.
    #[default]
    Exchange,
    /// Always: what it brings does not follow the hours of the exchanges.
    Always,
}

impl Hours {
    /// The spelling in the file.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Always => "always",
        }
    }
}
