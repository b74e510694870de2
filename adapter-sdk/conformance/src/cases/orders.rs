//! Whether order updates survive what brokers put into them.

use std::time::Duration;

use adapter_abi::capability;
use serde_json::{Map, Value as Json, json};

use crate::{
    running::Running,
    stage::{SOON, Stage},
    venue::Venue,
    verdict::{Check, ensure, skip},
};

/// The member without which an update is of no order.
const ID: &str = "orderid";

/// A sound order, by the names of the host's order updates.
fn sound(stage: &Stage<'_>, id: &str) -> Map<String, Json> {
    let instrument = stage.profile.instrument(0);
    let order = json!({
        "orderid": id, "exchange": instrument.exchange, "symbol": instrument.symbol, "action": "BUY", "quantity": 30,
        "price": 625.5, "trigger_price": 624.5, "pricetype": "LIMIT", "product": "MIS", "order_status": "open",
        "filled_quantity": 10, "pending_quantity": 20, "average_price": 625.25, "rejection_reason": "none of yours",
    });
    order.as_object().cloned().unwrap_or_default()
}

/// Members that are numbers: what cannot be read of them is absent, and never zero.
const NUMBERS: [&str; 6] =
    ["quantity", "price", "trigger_price", "filled_quantity", "pending_quantity", "average_price"];

/// What stands in the place of a number, or of a text.
fn oddities(is_number: bool) -> Vec<Json> {
    let mut odd = vec![Json::Null, json!({}), json!([1, [2]]), json!(true)];
    if is_number {
        odd.extend([json!("n/a"), json!(""), json!("12,5x")]);
    }
    odd
}

pub(super) fn odd_members(stage: &Stage<'_>) -> Check {
    if !stage.subject.can(capability::ORDERS) {
        return skip("the adapter's manifest does not name the capability of order updates");
    }
    let venue = stage.venue_with(&["order", "report"])?;
    let has = |name: &&str| venue.order_members().iter().any(|member| member == *name);
    if !has(&ID) {
        return skip("the fake venue does not say that its order updates have an `orderid`");
    }
    let running = stage.connected()?;
    if venue.needs(&["tick"]).is_ok() {
        stage.subscribe(&running, &[stage.wanted(0, stage.lowest())])?;
    }
    let opened = venue.report()?.opened;
    let base = first_told(&running, venue, &restricted(stage, venue, "sound-0"), "sound-0")?;
    let mut count = 0;
    let members: Vec<String> = venue.order_members().to_vec();
    for member in members.iter().map(String::as_str).filter(|member| *member != ID) {
        let is_number = NUMBERS.contains(&member);
        let missing = [None];
        let odd = oddities(is_number).into_iter().map(Some);
        for value in odd.chain(missing) {
            count += 1;
            let id = format!("odd-{count}");
            let mut order = restricted(stage, venue, &id);
            let shown = value.as_ref().map_or_else(|| "nothing".to_owned(), Json::to_string);
            order.remove(member);
            order.extend(value.map(|value| (member.to_owned(), value)));
            let update = told(&running, venue, &order, &id)?;
            let got = update.get(member).filter(|got| !got.is_null());
            ensure(!is_number || got.is_none(), || {
                let got = got.map(Json::to_string).unwrap_or_default();
                format!("{member} of an order was sent as {shown}, and published as {got}")
            })?;
            for other in NUMBERS.into_iter().filter(|other| *other != member) {
                ensure(update.get(other) == base.get(other), || {
                    format!("{member} of an order was sent as {shown}, and {other} was lost by that")
                })?;
            }
        }
    }
    // One of no order is none to publish, and costs nothing else.
    let mut nobody = restricted(stage, venue, "");
    nobody.insert(ID.to_owned(), Json::Null);
    venue.order(&nobody)?;
    told(&running, venue, &restricted(stage, venue, "sound-1"), "sound-1")?;
    let is_none = running.recorder.look(|heard| {
        heard
            .orders
            .iter()
            .filter_map(|text| serde_json::from_str::<Json>(text).ok())
            .any(|update| update.get(ID).and_then(Json::as_str).is_none_or(str::is_empty))
    });
    ensure(!is_none, || "an order update without the number of an order was published".to_owned())?;
    ensure(venue.report()?.opened == opened, || "an odd order update cost the connection".to_owned())?;
    running.settle()
}

/// A sound order with what the venue's messages can have.
fn restricted(stage: &Stage<'_>, venue: &Venue, id: &str) -> Map<String, Json> {
    let mut order = sound(stage, id);
    order.retain(|name, _| venue.order_members().contains(name));
    order
}

/// Sends an order update, and waits until it is published.
fn told(running: &Running, venue: &Venue, order: &Map<String, Json>, id: &str) -> Check<Map<String, Json>> {
    told_within(running, venue, order, id, SOON)
}

/// The same of the first one, which is sent again and again: where orders have a socket of their own, it may
/// be the later one, and what the broker says before it is open is lost.
fn first_told(
    running: &Running,
    venue: &Venue,
    order: &Map<String, Json>,
    id: &str,
) -> Check<Map<String, Json>> {
    const GOES: u32 = 10;
    for _ in 1..GOES {
        if let Ok(update) = told_within(running, venue, order, id, SOON / GOES) {
            return Ok(update);
        }
    }
    told(running, venue, order, id)
}

fn told_within(
    running: &Running,
    venue: &Venue,
    order: &Map<String, Json>,
    id: &str,
    limit: Duration,
) -> Check<Map<String, Json>> {
    venue.order(order)?;
    let text = Json::Object(order.clone()).to_string();
    running.wait(&format!("the order update {text}"), limit, |heard| {
        let mut all = heard.orders.iter().rev().filter_map(|update| serde_json::from_str(update).ok());
        all.find_map(|update: Json| {
            let update = update.as_object()?;
            (update.get(ID)?.as_str()? == id).then(|| update.clone())
        })
    })
}
