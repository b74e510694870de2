//! Whatever happens in whatever order: what the adapters hold in the end is what the clients want.

use std::{collections::BTreeSet, time::Duration};

use adapter_abi::{OutcomeCode, StatusKind};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    fake::{Build, Instance},
    rig::{Asked, Bench, Limits},
};
use crate::feeds::feed::{Command, login_policy::LoginOutcome};

const SYMBOLS: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];

const SCHEDULES: u64 = 40;
const EVENTS: usize = 120;

struct World {
    random: StdRng,
    bench: Bench,
    builds: Vec<Build>,
    held: Vec<tickhost_core::model::InstrumentId>,
    asked: Vec<Asked>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let builds: Vec<Build> = (0..3).map(|_| Build::default()).collect();
        let bench = Bench::start(&builds[0], limits(&mut random));
        Self { random, bench, builds, held: Vec::new(), asked: Vec::new() }
    }

    fn anything(&mut self) {
        match self.random.random_range(0..14) {
            0..=3 => {
                let count = self.random.random_range(1..4);
                let symbols: Vec<&str> =
                    (0..count).map(|_| SYMBOLS[self.random.random_range(0..SYMBOLS.len())]).collect();
                let asked = self.bench.ask(&symbols);
                // Some do not wait for the answer.
                if self.random.random_range(0..4) > 0 {
                    self.asked.push(asked);
                }
            }
            4 | 5 if !self.held.is_empty() => {
                let place = self.random.random_range(0..self.held.len());
                let instrument = self.held.swap_remove(place);
                self.bench.release(instrument);
            }
            6 | 7 => self.say_something(),
            8 => {
                let build = self.builds[self.random.random_range(0..self.builds.len())].clone();
                self.bench.serve(&build);
            }
            9 => {
                self.bench.limits = limits(&mut self.random);
                let build = self.builds[self.random.random_range(0..self.builds.len())].clone();
                self.bench.serve(&build);
            }
            10 => self.bench.let_go(),
            11 => {
                let build = &self.builds[self.random.random_range(0..self.builds.len())];
                let (is_mute, is_slow): (bool, bool) = (self.random.random(), self.random.random());
                build.set(|habits| (habits.is_mute, habits.is_slow) = (is_mute, is_slow));
            }
            12 => {
                self.bench.command(Command::Refresh);
                let found = ["old", "new"][self.random.random_range(0..2)];
                if self.bench.reads > 0 {
                    self.bench.read(self.random.random::<bool>().then_some(found));
                }
            }
            _ => {
                let millis = [1, 50, 500, 5_000, 25_000][self.random.random_range(0..5)];
                self.bench.pass(Duration::from_millis(millis));
            }
        }
        self.collect();
    }

    /// An instance, be it the present one or not, says something.
    fn say_something(&mut self) {
        let build = self.builds[self.random.random_range(0..self.builds.len())].clone();
        let Some(instance) = build.any(self.random.random_range(0..1_000)) else { return };
        match self.random.random_range(0..6) {
            0 => instance.status(StatusKind::CONNECTED),
            1 => instance.status(StatusKind::DISCONNECTED),
            2 => instance.status(StatusKind::FAILED),
            3 => instance.status(StatusKind::AUTH_FAILED),
            _ => {
                let held: Vec<u32> = instance.told().held.keys().copied().collect();
                if let Some(instrument) = held.first() {
                    instance.reports(*instrument, OutcomeCode::ACCEPTED);
                }
            }
        }
        self.bench.step();
    }

    fn collect(&mut self) {
        let held = &mut self.held;
        self.asked.retain_mut(|asked| {
            let Some(answers) = asked.answer() else { return true };
            held.extend(answers.into_iter().flatten().map(|grant| grant.instrument));
            false
        });
    }

    /// Everything works again, and time passes.
    fn heal(&mut self) {
        for build in &self.builds {
            build.set(|habits| (habits.is_mute, habits.is_slow) = (false, false));
        }
        for _ in 0..30 {
            self.bench.let_go();
            while self.bench.reads > 0 {
                self.bench.read(Some("new"));
            }
            while !self.bench.logins.is_empty() {
                self.bench.log_in(LoginOutcome::Stored);
            }
            for connection in 0..self.bench.actor.connections.len() {
                if let Some(instance) = self.serving(connection) {
                    instance.status(StatusKind::CONNECTED);
                    for instrument in instance.told().held.keys() {
                        instance.reports(*instrument, OutcomeCode::ACCEPTED);
                    }
                }
            }
            self.bench.pass(Duration::from_secs(10));
            self.collect();
        }
    }

    /// The instance that serves a connection.
    fn serving(&self, connection: usize) -> Option<Instance> {
        let running = self.bench.actor.connections[connection].running()?;
        self.builds.iter().find_map(|build| build.known_as(&*running.instance))
    }

    fn check(&self, seed: u64) {
        let actor = &self.bench.actor;
        assert!(self.asked.is_empty(), "seed {seed}: everybody was answered");
        let wanted: BTreeSet<u32> = self.held.iter().map(|instrument| instrument.0).collect();
        let subscribed: BTreeSet<u32> =
            actor.subscriptions.numbers().map(|instrument| instrument.0).collect();
        assert_eq!(subscribed, wanted, "seed {seed}: what is held is what was granted");
        let mut carried = 0;
        for (number, connection) in actor.connections.iter().enumerate() {
            let on_it: BTreeSet<u32> =
                actor.subscriptions.asked_of(number).iter().map(|instrument| instrument.0).collect();
            assert_eq!(actor.placement.used()[number], on_it.len(), "seed {seed}: places of {number}");
            assert_eq!(connection.instruments(), on_it.len(), "seed {seed}: load of {number}");
            let instance = self.serving(number).unwrap_or_else(|| panic!("seed {seed}: {number} has none"));
            let held: BTreeSet<u32> = instance.told().held.keys().copied().collect();
            assert_eq!(held, on_it, "seed {seed}: what the instance of {number} holds");
            carried += on_it.len();
        }
        let capacity = actor.placement.limits().capacity();
        assert_eq!(carried, wanted.len().min(capacity), "seed {seed}: all that there is room for is carried");
        let pending = actor
            .subscriptions
            .numbers()
            .filter(|one| actor.subscriptions.get(*one).unwrap().granted().is_none())
            .count();
        let status = self.bench.feed.status();
        assert_eq!(
            (status.pending, pending),
            (wanted.len() - carried, wanted.len() - carried),
            "seed {seed}"
        );
    }
}

fn limits(random: &mut StdRng) -> Limits {
    Limits {
        places: random.random_range(1..5),
        connections: random.random_range(1..4),
        sessions: random.random_range(1..8),
    }
}

#[test]
fn in_the_end_each_instance_holds_what_the_clients_want_and_there_is_room_for() {
    for seed in 0..SCHEDULES {
        let mut world = World::new(seed);
        for _ in 0..EVENTS {
            world.anything();
        }
        world.heal();
        world.check(seed);
    }
}
