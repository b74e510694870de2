//! Gives out instrument numbers. A number that was given back comes up again only after 4,096 changes of its
//! count, and after every other free place was used: a late tick finds nobody, or nobody's number.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::model::InstrumentId;

/// How often a place can be given out: the bits of a number above [`InstrumentId::SLOT_BITS`].
const GENERATIONS: u32 = 1 << (u32::BITS - InstrumentId::SLOT_BITS);

/// Free places that rest before one is used again.
const RESTING: usize = 1_024;

/// The host holds as many instruments as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host holds {} instruments, which is as many as it can: unsubscribe some", InstrumentId::SLOTS)]
pub struct NoInstrumentLeft;

/// All numbers of the host. One lock, taken at subscribe and unsubscribe only.
#[derive(Debug, Default)]
pub struct Instruments {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Count of each place that was ever given out.
    generations: Vec<u32>,
    free: VecDeque<u32>,
}

impl Instruments {
    /// A number that nobody has.
    ///
    /// # Errors
    /// [`NoInstrumentLeft`].
    pub fn allocate(&self) -> Result<InstrumentId, NoInstrumentLeft> {
        let mut state = self.state.lock();
        let is_exhausted = state.generations.len() >= InstrumentId::SLOTS;
        if (state.free.len() > RESTING || is_exhausted)
            && let Some(slot) = state.free.pop_front()
        {
            let generation = state.generations.get(slot as usize).copied().unwrap_or_default();
            return Ok(InstrumentId::new(slot, generation));
        }
        if is_exhausted {
            return Err(NoInstrumentLeft);
        }
        let slot = u32::try_from(state.generations.len()).unwrap_or(u32::MAX);
        state.generations.push(0);
        Ok(InstrumentId::new(slot, 0))
    }

    /// Takes a number back.
    pub fn free(&self, instrument: InstrumentId) {
        let mut state = self.state.lock();
        let Some(generation) = state.generations.get_mut(instrument.slot()) else { return };
        *generation = (*generation + 1) % GENERATIONS;
        state.free.push_back(u32::try_from(instrument.slot()).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_number_is_not_given_to_two_and_rests_before_it_returns() {
        let instruments = Instruments::default();
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let instrument = instruments.allocate().unwrap();
            assert!(seen.insert(instrument), "{instrument:?} came twice");
            instruments.free(instrument);
        }
        assert!(instruments.state.lock().generations.len() <= RESTING + 1);
    }

    #[test]
    fn a_full_host_refuses_with_a_sentence() {
        let instruments = Instruments::default();
        for _ in 0..InstrumentId::SLOTS {
            instruments.allocate().unwrap();
        }
        assert_eq!(instruments.allocate(), Err(NoInstrumentLeft));
        instruments.free(InstrumentId::new(5, 0));
        assert_eq!(instruments.allocate(), Ok(InstrumentId::new(5, 1)));
    }
}
