//! What the clients of one feed want of an instrument, and what that means upstream.

use smallvec::SmallVec;

use crate::model::{DepthClass, Mode, Variant};

/// What the broker is asked for: the highest mode anybody holds, and the most levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The highest mode that somebody holds.
    pub mode: Mode,
    /// Levels in mode DEPTH, 0 below.
    pub levels: u16,
}

/// Holders of an instrument by variant.
#[derive(Debug, Default)]
pub struct Demand {
    holders: SmallVec<[(Variant, u32); 2]>,
}

impl Demand {
    /// One more holds this variant.
    pub fn add(&mut self, variant: Variant) {
        match self.holders.iter_mut().find(|(held, _)| *held == variant) {
            Some((_, count)) => *count += 1,
            None => self.holders.push((variant, 1)),
        }
    }

    /// One of those that hold this variant lets go; nothing happens when nobody holds it.
    pub fn remove(&mut self, variant: Variant) {
        let Some(place) = self.holders.iter().position(|(held, _)| *held == variant) else { return };
        if let Some((_, count)) = self.holders.get_mut(place) {
            *count -= 1;
            if *count == 0 {
                self.holders.swap_remove(place);
            }
        }
    }

    /// Forgets everybody who holds this mode; whether anybody did.
    pub fn remove_mode(&mut self, mode: Mode) -> bool {
        let before = self.holders.len();
        self.holders.retain(|(variant, _)| variant.mode() != mode);
        self.holders.len() != before
    }

    /// What to ask for upstream; none when nobody is left.
    pub fn upstream(&self) -> Option<Upstream> {
        let mode = self.holders.iter().map(|(variant, _)| variant.mode()).max()?;
        let depth = self
            .holders
            .iter()
            .filter(|(variant, _)| variant.mode() == Mode::Depth)
            .map(|(variant, _)| variant.depth())
            .max();
        Some(Upstream { mode, levels: depth.map_or(0, DepthClass::levels) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(mode: Mode, depth: DepthClass) -> Variant {
        Variant::new(mode, depth, false)
    }

    #[test]
    fn a_mode_is_forgotten_with_all_its_levels() {
        let mut demand = Demand::default();
        demand.add(variant(Mode::Ltp, DepthClass::Five));
        demand.add(variant(Mode::Depth, DepthClass::Twenty));
        demand.add(variant(Mode::Depth, DepthClass::Five));
        assert!(demand.remove_mode(Mode::Depth));
        assert!(!demand.remove_mode(Mode::Depth));
        assert_eq!(demand.upstream(), Some(Upstream { mode: Mode::Ltp, levels: 0 }));
    }

    #[test]
    fn upstream_runs_at_the_highest_mode_and_most_levels_held() {
        let mut demand = Demand::default();
        assert_eq!(demand.upstream(), None);
        demand.add(variant(Mode::Ltp, DepthClass::Five));
        demand.add(variant(Mode::Depth, DepthClass::Twenty));
        demand.add(variant(Mode::Depth, DepthClass::Five));
        assert_eq!(demand.upstream(), Some(Upstream { mode: Mode::Depth, levels: 20 }));
        demand.remove(variant(Mode::Depth, DepthClass::Twenty));
        assert_eq!(demand.upstream(), Some(Upstream { mode: Mode::Depth, levels: 5 }));
        demand.remove(variant(Mode::Depth, DepthClass::Five));
        assert_eq!(demand.upstream(), Some(Upstream { mode: Mode::Ltp, levels: 0 }));
        demand.remove(variant(Mode::Ltp, DepthClass::Five));
        assert_eq!(demand.upstream(), None);
    }

    #[test]
    fn a_variant_held_by_two_survives_the_first_to_leave() {
        let mut demand = Demand::default();
        demand.add(variant(Mode::Quote, DepthClass::Five));
        demand.add(variant(Mode::Quote, DepthClass::Five));
        demand.remove(variant(Mode::Quote, DepthClass::Five));
        assert!(demand.upstream().is_some());
    }
}
