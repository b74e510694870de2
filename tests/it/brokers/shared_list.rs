//! The processes of an adapter have one list together, whatever was in its place before.
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use integration_tests::{
    HostBuilder, chain,
    chain::{Chain, Profile},
    process::adapters_of,
};
use venues::{
    Mode, Options, Venue,
    angel::Smart,
    dhan::Dhan,
    fyers::Fyers,
    noren::{Noren, Shoonya},
    zerodha::Kite,
};

/// Symbols of a connection, of which there are two.
const OF_ONE: usize = 6;

/// The lists below a folder.
fn lists(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_list = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("list-");
    files.into_iter().filter(is_list).chain(folders.iter().flat_map(|folder| lists(folder))).collect()
}

async fn one_list_serves_all<B: Profile>() {
    let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
    let mut venue = Some(Venue::<B>::start(options.accepting(B::CREDENTIALS)).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let plugins = chain::plugins::<B>(venue.as_ref().unwrap().address(), &folder.path().join("cache"));
    let limits = format!("symbols_per_connection = {OF_ONE}\nconnections = 2\n[adapter.config]");
    let plugins = plugins.replacen("[adapter.config]", &limits, 1);
    let mut before = None;
    for _ in 0..2 {
        let chain = Chain::on(venue.take().unwrap(), HostBuilder::new().plugins(&plugins));
        let (mut watcher, _) = chain.watch(&chain.instruments(2 * OF_ONE), Mode::Quote).await;
        assert_eq!(chain.compare(&mut watcher).await.mismatches, [""; 0], "{}", B::NAME);
        let found = lists(folder.path());
        let [list] = &found[..] else { panic!("{}: {found:?}", B::NAME) };
        let file = fs::metadata(list).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o400);
        // Another host, but the same list.
        assert!(before.replace(list.clone()).is_none_or(|before| before == *list));
        let processes = adapters_of(chain.host.pid());
        assert_eq!(processes.len(), 2);
        for process in processes {
            let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid)).unwrap_or_default();
            // The kernel shows those of confined processes to the superuser alone.
            assert!(maps.is_empty() || maps.contains(&format!(" {} ", file.ino())), "{}: {maps}", B::NAME);
        }
        venue = Some(chain.venue);
        // What the next host finds is torn.
        let torn = fs::read(list).unwrap();
        fs::remove_file(list).unwrap();
        fs::write(list, &torn[..torn.len() / 2]).unwrap();
        fs::set_permissions(list, fs::Permissions::from_mode(0o400)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_serves_all_processes_of_zerodha() {
    one_list_serves_all::<Kite>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_serves_all_processes_of_angel_one() {
    one_list_serves_all::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_serves_all_processes_of_dhan() {
    one_list_serves_all::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_serves_all_processes_of_fyers() {
    one_list_serves_all::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_list_serves_all_processes_of_shoonya() {
    one_list_serves_all::<Noren<Shoonya>>().await;
}
