//! Stands in for the commands of the accounts and of the terminal view.

use clap::{Args, Subcommand};

/// `tickhost tap`.
#[derive(Debug, Args)]
pub struct TapArgs {
    /// Symbols, each written EXCHANGE:SYMBOL
    #[arg(required = true, value_name = "EXCHANGE:SYMBOL")]
    pub symbols: Vec<String>,
}

/// `tickhost user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users
    List,
}

/// `tickhost key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List keys
    List,
}

/// `tickhost account`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// List accounts
    List,
}
