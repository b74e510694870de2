//! Each way in which editors and deployments save a file is followed. A client sees it by a symbol that the
//! file adds.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use integration_tests::{Client, HostBuilder, wait_until};

use super::place::{Entry, Place, text, ticks_go_on, wait_for_symbol};

/// Longest time from a save to the first subscription that needs it. The host's own waits are below a second,
/// the rest is for a machine that runs other tests; a look every 30 s, which would find everything, does not
/// pass.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(12);

async fn is_followed(client: &mut Client, style: &str, symbol: &str, save: impl AsyncFnOnce(&str)) {
    let begin = Instant::now();
    save(&text(&[Entry::sim_with(symbol)])).await;
    wait_for_symbol(client, symbol).await;
    assert!(begin.elapsed() < FOLLOWED_WITHIN, "{style}: {:?}", begin.elapsed());
    ticks_go_on(client).await;
}

async fn login(place: &Place) -> Client {
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    ticks_go_on(&mut client).await;
    client
}

#[tokio::test]
async fn a_save_in_place_and_one_in_two_steps_are_followed() {
    let place = Place::start(&[Entry::sim_with("NEW0")]);
    let mut client = login(&place).await;
    let file = place.file.as_path();
    is_followed(&mut client, "in place", "NEW1", async |text| fs::write(file, text).unwrap()).await;
    is_followed(&mut client, "cut and written", "NEW2", async |text| {
        let mut open = OpenOptions::new().write(true).truncate(true).open(file).unwrap();
        // Nothing is listed in an empty file, nor a whole adapter in the half of one, for longer than the
        // host waits.
        let (begin, rest) = text.split_at(text.len() / 2);
        for part in ["", begin] {
            open.write_all(part.as_bytes()).unwrap();
            open.flush().unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        open.write_all(rest.as_bytes()).unwrap();
    })
    .await;
}

#[tokio::test]
async fn saves_that_rename_are_followed() {
    let place = Place::start(&[Entry::sim_with("NEW0")]);
    let mut client = login(&place).await;
    let file = place.file.as_path();
    let beside = file.with_extension("tmp");
    let backup = Path::new(&format!("{}~", file.display())).to_owned();
    is_followed(&mut client, "renamed over", "NEW1", async |text| {
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, file).unwrap();
    })
    .await;
    is_followed(&mut client, "unlinked and renamed", "NEW2", async |text| {
        fs::write(&beside, text).unwrap();
        fs::remove_file(file).unwrap();
        fs::rename(&beside, file).unwrap();
    })
    .await;
    is_followed(&mut client, "with a backup", "NEW3", async |text| {
        fs::rename(file, &backup).unwrap();
        fs::write(file, text).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_a_link_is_followed_to_where_it_leads() {
    let builder = HostBuilder::new();
    let file = builder.plugins_path();
    let versions = builder.dir().join("versions");
    fs::create_dir(&versions).unwrap();
    symlink("versions/first.toml", &file).unwrap();
    let place = Place::start_with(builder, &[Entry::sim_with("NEW0")]);
    let mut client = login(&place).await;
    is_followed(&mut client, "another link", "NEW1", async |text| {
        fs::write(versions.join("second.toml"), text).unwrap();
        symlink("versions/second.toml", file.with_extension("link")).unwrap();
        fs::rename(file.with_extension("link"), &file).unwrap();
    })
    .await;
    is_followed(&mut client, "what the link leads to", "NEW2", async |text| {
        fs::write(versions.join("second.toml"), text).unwrap();
    })
    .await;
    wait_until("nothing is wrong", || async { place.host.status().await["plugins_error"].is_null() }).await;
}
