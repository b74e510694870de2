//! The members of a tick, by all names that publishers have for them.

use tickhost_core::model::{Quote, field};

/// What a member means.
#[derive(Clone, Copy)]
pub(super) enum Member {
    Price(u32, fn(&mut Quote) -> &mut i64),
    Quantity(u32, fn(&mut Quote) -> &mut i64),
    Time(u32, fn(&mut Quote) -> &mut u64),
    Greeks,
    ImpliedVolatility,
    Book,
    Bids,
    Asks,
    Exchange,
    Symbol,
    Mode,
    Other,
}

impl Member {
    /// By its name, or one of its other names.
    pub(super) fn named(name: &str) -> Self {
        use Member::{Price, Quantity, Time};
        match name {
            "ltp" => Price(field::LTP, |quote| &mut quote.ltp),
            "open" => Price(field::OPEN, |quote| &mut quote.open),
            "high" => Price(field::HIGH, |quote| &mut quote.high),
            "low" => Price(field::LOW, |quote| &mut quote.low),
            "close" => Price(field::CLOSE, |quote| &mut quote.close),
            "average_price" | "avg_trade_price" | "atp" => {
                Price(field::AVERAGE_PRICE, |quote| &mut quote.average_price)
            }
            "change" | "price_change" => Price(field::CHANGE, |quote| &mut quote.change),
            "change_percent" | "percent_change" | "price_change_percent" => {
                Price(field::CHANGE_PERCENT, |quote| &mut quote.change_percent)
            }
            "bid_price" | "bid" => Price(field::BID_PRICE, |quote| &mut quote.bid_price),
            "ask_price" | "ask" => Price(field::ASK_PRICE, |quote| &mut quote.ask_price),
            "upper_circuit" => Price(field::UPPER_CIRCUIT, |quote| &mut quote.upper_circuit),
            "lower_circuit" => Price(field::LOWER_CIRCUIT, |quote| &mut quote.lower_circuit),
            "prev_close" => Price(field::PREV_CLOSE, |quote| &mut quote.prev_close),
            "volume" => Quantity(field::VOLUME, |quote| &mut quote.volume),
            "last_trade_quantity" | "last_quantity" | "last_traded_quantity" | "ltq" => {
                Quantity(field::LAST_QUANTITY, |quote| &mut quote.last_quantity)
            }
            "total_buy_quantity" | "totalbuyqty" => {
                Quantity(field::TOTAL_BUY_QUANTITY, |quote| &mut quote.total_buy_quantity)
            }
            "total_sell_quantity" | "totalsellqty" => {
                Quantity(field::TOTAL_SELL_QUANTITY, |quote| &mut quote.total_sell_quantity)
            }
            "oi" | "open_interest" => Quantity(field::OI, |quote| &mut quote.oi),
            "oi_high" => Quantity(field::OI_HIGH, |quote| &mut quote.oi_high),
            "oi_low" => Quantity(field::OI_LOW, |quote| &mut quote.oi_low),
            "bid_size" | "bid_qty" | "bid_quantity" => Quantity(field::BID_SIZE, |quote| &mut quote.bid_size),
            "ask_size" | "ask_qty" | "ask_quantity" => Quantity(field::ASK_SIZE, |quote| &mut quote.ask_size),
            "timestamp" => Time(field::EXCHANGE_TS, |quote| &mut quote.exchange_ts_ns),
            "ltt" | "last_traded_time" => Time(field::LAST_TRADE_TS, |quote| &mut quote.last_trade_ts_ns),
            "greeks" => Self::Greeks,
            "implied_volatility" => Self::ImpliedVolatility,
            "depth" => Self::Book,
            "bids" => Self::Bids,
            "asks" => Self::Asks,
            "exchange" => Self::Exchange,
            "symbol" => Self::Symbol,
            "mode" => Self::Mode,
            _ => Self::Other,
        }
    }
}
