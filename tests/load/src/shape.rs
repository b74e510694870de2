//! What is measured: how many clients hold how many symbols, and how fast they change.

/// Who holds what, and how much happens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Shape {
    /// Clients
    #[arg(long, default_value_t = 200)]
    pub(crate) clients: usize,
    /// Symbols that each of them holds
    #[arg(long, default_value_t = 100)]
    pub(crate) held: usize,
    /// Different symbols
    #[arg(long, default_value_t = 1_000)]
    pub(crate) symbols: usize,
    /// Deliveries a second, over all clients
    #[arg(long, default_value_t = 200_000)]
    pub(crate) rate: u64,
    /// Clients, of the others, that do not read until the publisher has ended
    #[arg(long, default_value_t = 0)]
    pub(crate) stopped: usize,
    /// Clients that read 4 KiB ten times a second
    #[arg(long, default_value_t = 0)]
    pub(crate) slow: usize,
    /// Clients that throw away what comes and only count bytes, so that the load leaves the cores to the
    /// server
    #[arg(long, default_value_t = 0)]
    pub(crate) blind: usize,
    /// Mode that they subscribe to: 1, 2, 3
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) mode: u8,
}

/// How one client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Reads what comes.
    Reads,
    /// Reads a little at a time.
    Slow,
    /// Reads nothing until the end.
    Stopped,
    /// Takes what comes and does not look at it.
    Blind,
}

impl Shape {
    /// The symbols of a client: a run of neighbours, so that every symbol is held by as many clients.
    pub(crate) fn symbols_of(&self, client: usize) -> impl Iterator<Item = usize> + use<> {
        let (held, symbols) = (self.held, self.symbols);
        (0..held).map(move |place| (client * held + place) % symbols)
    }

    /// How a client behaves.
    pub(crate) const fn behaviour(&self, client: usize) -> Behaviour {
        if client < self.stopped {
            Behaviour::Stopped
        } else if client < self.stopped + self.slow {
            Behaviour::Slow
        } else if client < self.stopped + self.slow + self.blind {
            Behaviour::Blind
        } else {
            Behaviour::Reads
        }
    }

    /// Ticks a second, from the deliveries that they cause.
    pub(crate) fn ticks_per_second(&self) -> u64 {
        let pairs = (self.clients * self.held) as u64;
        (self.rate * self.symbols as u64 / pairs.max(1)).max(1)
    }

    /// Holders of each symbol.
    pub(crate) fn fan_out(&self) -> f64 {
        (self.clients * self.held) as f64 / self.symbols as f64
    }

    /// Holders of each symbol that read.
    pub(crate) fn reading_fan_out(&self) -> f64 {
        ((self.clients - self.stopped - self.slow - self.blind) * self.held) as f64 / self.symbols as f64
    }
}

/// The ticks of a measurement: number `n` is due at a fixed time and belongs to one symbol after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) start_us: u64,
    pub(crate) ticks_per_second: u64,
    pub(crate) symbols: usize,
    /// Ticks that are due at one time: 1, or more for bursts.
    pub(crate) burst: u64,
}

/// Prime, so that the steps visit every symbol before they come back to the first.
const STRIDE: u64 = 617;

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) symbol: usize,
    /// Counts the ticks of the symbol from 1.
    pub(crate) seq: u64,
    pub(crate) us: u64,
}

impl Schedule {
    /// Tick `n`. Neighbours in time are no neighbours among the symbols, which one client would hold.
    pub(crate) const fn tick(&self, n: u64) -> Due {
        let symbols = self.symbols as u64;
        let burst = n / self.burst * self.burst;
        Due {
            symbol: (n % symbols * STRIDE % symbols) as usize,
            seq: n / symbols + 1,
            us: self.start_us + burst * 1_000_000 / self.ticks_per_second,
        }
    }

    /// Number of each symbol's last tick among the first `sent`.
    pub(crate) fn last_of_each(&self, sent: u64) -> Vec<u64> {
        let symbols = self.symbols as u64;
        let mut last = vec![0; self.symbols];
        for n in sent.saturating_sub(symbols)..sent {
            let tick = self.tick(n);
            if let Some(last) = last.get_mut(tick.symbol) {
                *last = tick.seq;
            }
        }
        last
    }
}
