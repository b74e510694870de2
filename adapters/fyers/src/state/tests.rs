use super::*;
use crate::wire::{Data, Frame, LITE_VALUES};

/// 2026-11-25, 23:59:59 in India.
const LAST_SECOND: i32 = 1_795_631_399;

/// A frame of one record: a snapshot of the topic, or an update.
fn frame(snapshot_of: Option<&str>, values: &[i32]) -> Vec<u8> {
    let mut frame = vec![0, 0, 6, 0, 0, 0, 1, 0, 1, if snapshot_of.is_some() { b'S' } else { b'U' }, 0, 1];
    if let Some(name) = snapshot_of {
        frame.push(u8::try_from(name.len()).unwrap());
        frame.extend_from_slice(name.as_bytes());
    }
    frame.push(u8::try_from(values.len()).unwrap());
    frame.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    if snapshot_of.is_some() {
        frame.extend([0, 0, 0, 1, 2, 0, 0, 0]);
    }
    frame
}

/// Takes a frame as it is taken for ticks.
fn take(topics: &mut Topics, frame: &[u8]) {
    let Ok(Frame::Data(Data { records, .. })) = Frame::parse(frame, LITE_VALUES) else { panic!("no data") };
    for record in records {
        let record = record.unwrap();
        let target = topics.target(&record).unwrap();
        topics.begin_day(&record, target);
        topics.apply(&record, Some(target));
    }
}

fn topics(name: &str, values: &[i32]) -> (Topics, Topic) {
    let (feed, topic) = Topic::parse(name.as_bytes()).unwrap();
    let mut topics = Topics::new();
    topics.want(feed, topic);
    take(&mut topics, &frame(Some(name), values));
    (topics, topic)
}

#[test]
fn a_new_day_keeps_nothing_of_the_day_before_but_open_interest() {
    let mut yesterday = [1; 21];
    yesterday[3] = LAST_SECOND;
    let (mut topics, topic) = topics("sf|nse_fo|68407", &yesterday);
    // The same day: what is not said is as it was.
    let mut update = [ABSENT; 21];
    (update[0], update[3]) = (2, LAST_SECOND);
    take(&mut topics, &frame(None, &update));
    let prices = |topics: &Topics| *topics.find(&topic).unwrap().prices().unwrap();
    assert_eq!((prices(&topics).get(0), prices(&topics).get(19)), (Some(2), Some(1)));
    (update[0], update[3]) = (3, LAST_SECOND + 1);
    take(&mut topics, &frame(None, &update));
    let known: Vec<(usize, i32)> =
        (0..21).filter_map(|place| Some((place, prices(&topics).get(place)?))).collect();
    assert_eq!(known, [(0, 3), (3, LAST_SECOND + 1), (12, 1)]);
}

#[test]
fn the_levels_of_the_day_before_go_with_its_prices() {
    let (mut topics, topic) = topics("if|nse_cm|Nifty 50", &[1, 1, LAST_SECOND, 1, 1, 1]);
    take(&mut topics, &frame(None, &[2, ABSENT, LAST_SECOND + 1, ABSENT, ABSENT, ABSENT]));
    let prices = topics.find(&topic).unwrap().prices().unwrap();
    assert_eq!((0..6).filter_map(|place| prices.get(place)).collect::<Vec<_>>(), [2, LAST_SECOND + 1]);

    let name = "sf|nse_cm|3045";
    let (_, topic) = Topic::parse(name.as_bytes()).unwrap();
    let mut topics = Topics::new();
    topics.want(Feed::Scrip, topic);
    topics.want(Feed::Depth, topic);
    take(&mut topics, &frame(Some("dp|nse_cm|3045"), &[1; 30]));
    take(&mut topics, &frame(Some(name), &[0, 0, 0, LAST_SECOND]));
    assert!(!topics.find(&topic).unwrap().book().unwrap().is_empty());
    take(&mut topics, &frame(None, &[0, 0, 0, LAST_SECOND + 1]));
    assert!(topics.find(&topic).unwrap().book().unwrap().is_empty());
}
