//! How the users of a feed that several of them share share its symbols.
//!
//! A user may take a symbol that nobody has while there are more symbols free than the user has taken: alone
//! half of all, and whoever comes later always finds as much again. Symbols that somebody has are for
//! everybody, and are counted to the one who took them first until nobody has them any more.

use rustc_hash::FxHashMap;

use crate::accounts::UserName;

/// Symbols by the user who took them. Bounded by the symbols of the feed.
#[derive(Debug, Default)]
pub(super) struct Shares(FxHashMap<UserName, usize>);

impl Shares {
    /// Whether a user may take one more while so many are free.
    pub(super) fn may_take(&self, user: &UserName, free: usize) -> bool {
        self.0.get(user).copied().unwrap_or(0) < free
    }

    /// A user takes one.
    pub(super) fn take(&mut self, user: &UserName) {
        *self.0.entry(user.clone()).or_default() += 1;
    }

    /// One that this user took is free again.
    pub(super) fn give_back(&mut self, user: &UserName) {
        if let Some(taken) = self.0.get_mut(user) {
            *taken -= 1;
            if *taken == 0 {
                self.0.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_everything_and_whoever_comes_later_finds_as_much_again() {
        let mut shares = Shares::default();
        let mut free = 100_000;
        let mut take_all = |shares: &mut Shares, name: &str| {
            let (user, before) = (UserName::from(name), free);
            while shares.may_take(&user, free) {
                shares.take(&user);
                free -= 1;
            }
            before - free
        };
        let taken = ["one", "two", "three", "four"].map(|name| take_all(&mut shares, name));
        assert_eq!(taken, [50_000, 25_000, 12_500, 6_250]);
        let one = UserName::from("one");
        (0..50_000).for_each(|_| shares.give_back(&one));
        assert!(!shares.0.contains_key(&one) && shares.may_take(&one, 1));
        assert!(!shares.may_take(&one, 0));
    }
}
