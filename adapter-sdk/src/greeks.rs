//! Greeks and implied volatility as authors write them: a value that is not set is absent.

use adapter_abi::greek;

use crate::Price;

/// Greeks and implied volatility of one option, for [`TickSink::greeks`](crate::TickSink::greeks). Set what
/// the broker sent, and nothing else: what is not set is gone, and without any value there are none any more.
///
/// The values are decimal numbers, exact to 10^-9, read like prices: [`Price::from_f64`] for floating-point
/// numbers of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeks {
    pub(crate) record: adapter_abi::Greeks,
}

macro_rules! values {
    ($($(#[$meta:meta])+ $name:ident = $bit:ident;)+) => {
        impl Greeks {
            $(
                $(#[$meta])+
                #[must_use]
                pub const fn $name(mut self, value: Price) -> Self {
                    self.record.$name = value.0;
                    self.record.fields |= greek::$bit;
                    self
                }
            )+
        }
    };
}

values! {
    /// Change of the option's price for a change of the underlying by 1.
    delta = DELTA;
    /// Change of delta for a change of the underlying by 1.
    gamma = GAMMA;
    /// Change of the option's price in a day.
    theta = THETA;
    /// Change of the option's price for a change of its volatility by one percentage point.
    vega = VEGA;
    /// Change of the option's price for a change of the interest rate by one percentage point.
    rho = RHO;
    /// Implied volatility in percent a year: 14.5 for 14.5 %. What a broker sends as a fraction, 0.145, is to
    /// be multiplied.
    implied_volatility = IMPLIED_VOLATILITY;
}

impl Greeks {
    /// Of this instrument, without any value.
    pub fn new(instrument: u32) -> Self {
        Self { record: adapter_abi::Greeks { instrument, ..adapter_abi::Greeks::default() } }
    }

    /// Sets a value that is there: `greeks.with(delta, Greeks::delta)`.
    #[inline]
    #[must_use]
    pub fn with<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }

    /// The exchange's time of this record, in nanoseconds since the Unix epoch, UTC. It says of which trading
    /// day the values are.
    #[must_use]
    pub const fn exchange_ts_ns(mut self, at: u64) -> Self {
        self.record.exchange_ts_ns = at;
        self.record.fields |= greek::EXCHANGE_TS;
        self
    }

    /// When the packet arrived, in nanoseconds since the Unix epoch. The SDK notes it when this is not set.
    #[must_use]
    pub const fn received_ts_ns(mut self, at: u64) -> Self {
        self.record.received_ts_ns = at;
        self
    }

    /// The same values under another number: for brokers whose instrument has several.
    #[must_use]
    pub const fn numbered(mut self, instrument: u32) -> Self {
        self.record.instrument = instrument;
        self
    }

    /// Whether no value is set.
    pub const fn is_empty(&self) -> bool {
        self.record.fields & greek::IN_GREEKS == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_present() {
        let none = Greeks::new(7).exchange_ts_ns(5);
        assert!(none.is_empty());
        assert_eq!(none.record.fields, greek::EXCHANGE_TS);
        let some = none.with(Some(Price::from_nanos(-3)), Greeks::theta).with(None, Greeks::rho);
        assert!(!some.is_empty());
        assert_eq!((some.record.fields, some.record.theta), (greek::EXCHANGE_TS | greek::THETA, -3));
        let all = [
            Greeks::delta,
            Greeks::gamma,
            Greeks::theta,
            Greeks::vega,
            Greeks::rho,
            Greeks::implied_volatility,
        ];
        let all = all.into_iter().fold(Greeks::new(7), |greeks, set| set(greeks, Price::from_nanos(1)));
        assert_eq!(all.record.fields, greek::IN_GREEKS);
        assert_eq!(all.numbered(8).record.instrument, 8);
    }
}
