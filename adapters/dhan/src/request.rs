//! What the broker is asked for. Pure.

use adapter_sdk::{Mode, plan::Change};

use crate::{segment::Key, wire::depth::Tier};

/// Says goodbye. The broker's package sends an old binary header after it, which the broker does not need.
pub(crate) const DISCONNECT: &str = r#"{"RequestCode":12}"#;

/// Subscribes deep books. There is a code for the contrary, but which one it is differs between the broker's
/// documents and its package, and with either of them books go on coming.
const SUBSCRIBE_DEPTH: u8 = 23;

/// What subscribes each mode. The next number unsubscribes it.
const SUBSCRIBE: [(Mode, u8); 3] = [(Mode::Ltp, 15), (Mode::Quote, 17), (Mode::Depth, 21)];

/// Changes of the live feed as messages, in the order in which they must go: an instrument's old mode ends
/// before the new one begins, since nobody knows what two of them at once do.
pub(crate) fn changes(changes: &[Change<Key>]) -> Vec<String> {
    let of = |is_meant: &dyn Fn(&Change<Key>) -> bool, code| {
        let meant = changes.iter().filter(|change| is_meant(change));
        list(code, &meant.map(|change| change.key).collect::<Vec<Key>>())
    };
    let old =
        SUBSCRIBE.iter().filter_map(|(mode, code)| of(&|change| change.before == Some(*mode), code + 1));
    let new = SUBSCRIBE.iter().filter_map(|(mode, code)| of(&|change| change.now == Some(*mode), *code));
    old.chain(new).collect()
}

/// Subscribes deep books. The feed of 200 levels takes one instrument, and no list.
pub(crate) fn books(tier: Tier, keys: &[Key]) -> Vec<String> {
    match tier {
        Tier::Twenty => list(SUBSCRIBE_DEPTH, keys).into_iter().collect(),
        Tier::TwoHundred => {
            let single = |key: &Key| format!(r#"{{"RequestCode":{SUBSCRIBE_DEPTH},{}}}"#, instrument(*key));
            keys.iter().map(single).collect()
        }
    }
}

/// A request for some instruments; none for none.
fn list(code: u8, keys: &[Key]) -> Option<String> {
    let instruments: Vec<String> = keys.iter().map(|key| format!("{{{}}}", instrument(*key))).collect();
    let (count, instruments) = (instruments.len(), instruments.join(","));
    (count > 0).then(|| {
        format!(r#"{{"RequestCode":{code},"InstrumentCount":{count},"InstrumentList":[{instruments}]}}"#)
    })
}

/// An instrument in a request. An id that is a JSON number is refused without a useful word.
fn instrument(key: Key) -> String {
    format!(r#""ExchangeSegment":"{}","SecurityId":"{}""#, key.segment.name(), key.id)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::plan::Plan;

    use super::*;
    use crate::segment::Segment;

    const SHARE: Key = Key { segment: Segment::NseEquity, id: 1333 };
    const OPTION: Key = Key { segment: Segment::NseDerivatives, id: 49_081 };

    #[test]
    fn requests_read_like_those_in_the_broker_s_documents() {
        let mut plan = Plan::new();
        plan.want(1, SHARE, Mode::Ltp);
        plan.want(2, OPTION, Mode::Ltp);
        assert_eq!(
            changes(&plan.changes(100)),
            [
                r#"{"RequestCode":15,"InstrumentCount":2,"InstrumentList":[{"ExchangeSegment":"NSE_EQ","SecurityId":"1333"},{"ExchangeSegment":"NSE_FNO","SecurityId":"49081"}]}"#
            ]
        );
        assert_eq!(
            books(Tier::TwoHundred, &[SHARE]),
            [r#"{"RequestCode":23,"ExchangeSegment":"NSE_EQ","SecurityId":"1333"}"#]
        );
        assert_eq!(
            books(Tier::Twenty, &[SHARE]),
            [
                r#"{"RequestCode":23,"InstrumentCount":1,"InstrumentList":[{"ExchangeSegment":"NSE_EQ","SecurityId":"1333"}]}"#
            ]
        );
        assert_eq!(books(Tier::Twenty, &[]), [""; 0]);
    }

    #[test]
    fn an_old_mode_ends_before_the_new_one_begins() {
        let mut plan = Plan::new();
        plan.want(1, SHARE, Mode::Quote);
        plan.want(2, OPTION, Mode::Depth);
        let codes = |plan: &mut Plan<Key>| codes(&changes(&plan.changes(100)));
        assert_eq!(codes(&mut plan), ["17", "21"]);
        plan.want(1, SHARE, Mode::Depth);
        plan.drop(2);
        assert_eq!(codes(&mut plan), ["18", "22", "21"]);
        plan.want(1, SHARE, Mode::Ltp);
        assert_eq!(codes(&mut plan), ["22", "15"]);
        plan.drop(1);
        assert_eq!(codes(&mut plan), ["16"]);
    }

    fn codes(messages: &[String]) -> Vec<String> {
        messages.iter().map(|text| text.get(15..17).unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_silent_or_of_yesterday_is_subscribed_again() {
        let mut plan = Plan::new();
        plan.want(1, SHARE, Mode::Quote);
        plan.want(2, OPTION, Mode::Depth);
        plan.changes(100);
        let nobody = Key { segment: Segment::NseEquity, id: 1 };
        let repeat = |plan: &mut Plan<Key>| [SHARE, nobody, OPTION].iter().for_each(|key| plan.repeat(key));
        repeat(&mut plan);
        assert_eq!(codes(&changes(&plan.changes(100))), ["18", "22", "17", "21"]);
        repeat(&mut plan);
        let one_by_one = [plan.changes(1), plan.changes(1)].map(|one| codes(&changes(&one)));
        assert_eq!(one_by_one.concat(), ["18", "17", "22", "21"]);
        [1, 2].into_iter().for_each(|instrument| plan.drop(instrument));
        assert_eq!(codes(&changes(&plan.changes(100))), ["18", "22"]);
        plan.want(1, SHARE, Mode::Quote);
        assert_eq!(codes(&changes(&plan.changes(100))), ["17"]);
    }
}
