//! A catalogue that processes share.

use std::{any::type_name, path::PathBuf, sync::Arc};

use tracing::debug;

use super::{
    super::{
        shelf::{Mapped, Shelf},
        table::Storage,
    },
    Catalog, Sheet, Table,
};
use crate::{AdapterError, ist::Day, read::Packed};

crate::packed! {
    /// What stands before the two tables.
    #[derive(Clone, Copy, Debug)]
    struct Head {
        skipped: u64,
        expired: u64,
        unserved: u64,
        is_cut_off: u8,
        /// Bytes of the table, behind which is that of the broker's own names.
        table: u64,
    }
}

/// Takes what another process has read, or reads the files as they are on a day, so that others take it.
pub(super) fn read<S: Sheet<N>, const N: usize>(
    files: &[PathBuf],
    today: Day,
) -> Result<Catalog<S, N>, AdapterError> {
    let Some(shelf) = Shelf::of(files, type_name::<S>(), today) else {
        return Catalog::read_on(files, today);
    };
    read_at(&shelf, files, today)
}

fn read_at<S: Sheet<N>, const N: usize>(
    shelf: &Shelf,
    files: &[PathBuf],
    today: Day,
) -> Result<Catalog<S, N>, AdapterError> {
    if let Some(catalog) = open(shelf) {
        return Ok(catalog);
    }
    let _turn = shelf.turn();
    // Another one may have read it meanwhile.
    if let Some(catalog) = open(shelf) {
        return Ok(catalog);
    }
    let catalog = Catalog::read_on(files, today)?;
    if let Err(error) = put(shelf, &catalog) {
        debug!(%error, "The list is not shared");
    }
    // What was read goes, as this process has the shared one too.
    Ok(open(shelf).unwrap_or(catalog))
}

fn put<S: Sheet<N>, const N: usize>(shelf: &Shelf, catalog: &Catalog<S, N>) -> std::io::Result<()> {
    let (table, own) = (catalog.table.as_bytes(), catalog.own.as_bytes());
    let mut head = Vec::with_capacity(Head::BYTES);
    Head {
        skipped: catalog.skipped as u64,
        expired: catalog.expired as u64,
        unserved: catalog.unserved as u64,
        is_cut_off: catalog.is_cut_off.into(),
        table: table.len() as u64,
    }
    .put(&mut head);
    shelf.put(&[&head, table, own])
}

fn open<S: Sheet<N>, const N: usize>(shelf: &Shelf) -> Option<Catalog<S, N>> {
    of_file(shelf.open()?)
}

fn of_file<S: Sheet<N>, const N: usize>(file: Arc<Mapped>) -> Option<Catalog<S, N>> {
    let head = Head::take(&mut &file[..])?;
    let own = Head::BYTES.checked_add(usize::try_from(head.table).ok()?)?;
    let length = file.len();
    let table = Table::of_bytes(Storage::Shared(Arc::clone(&file), Head::BYTES..own))?;
    let own = Table::of_bytes(Storage::Shared(file, own..length))?;
    Some(Catalog {
        table,
        own,
        skipped: usize::try_from(head.skipped).ok()?,
        expired: usize::try_from(head.expired).ok()?,
        unserved: usize::try_from(head.unserved).ok()?,
        is_cut_off: head.is_cut_off != 0,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;
    use crate::instruments::{List as _, Names};

    /// How often the row of `S500` was read, which one test has.
    static READ: AtomicUsize = AtomicUsize::new(0);

    #[derive(Debug)]
    struct Lines;

    impl Sheet<3> for Lines {
        type Key = u32;

        const COLUMNS: [&'static str; 3] = ["exchange", "symbol", "token"];

        fn begin(_today: Day) -> Self {
            Self
        }

        fn row(&mut self, cells: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
            let [exchange, symbol, token] = cells;
            let token = token?.parse().ok()?;
            READ.fetch_add(usize::from(symbol == Some("S500")), Ordering::Relaxed);
            names.add(exchange?, symbol?, token);
            names.add_own("own", &format!("own {token}"), token);
            names.unserved();
            Some(())
        }
    }

    type Shared = Catalog<Lines, 3>;

    #[test]
    fn one_reads_the_list_and_the_others_take_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, today) = (folder.path().join("instruments"), Day::new(2026, 11, 30).unwrap());
        let rows: Vec<String> = (1..=500).map(|token| format!("NSE,S{token},{token}\n")).collect();
        fs::write(&path, format!("exchange,symbol,token\n{}nonsense\nNSE,CU", rows.concat())).unwrap();
        let files = [path];
        let plain = Shared::read_on(&files, today).unwrap();
        assert_eq!(READ.load(Ordering::Relaxed), 1);
        let read = || {
            let shelf = Shelf::made_of(&files, "lines", today).unwrap();
            read_at::<Lines, 3>(&shelf, &files, today).unwrap()
        };
        let lists: Vec<Shared> = thread::scope(|scope| {
            let readers: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(READ.load(Ordering::Relaxed), 2);
        for list in &lists {
            assert_eq!(*list, plain);
            assert!(list.is_cut_off() && list.table.is_shared() && list.own.is_shared());
            assert_eq!((list.key("NSE", "S7"), list.name(500)), (Some(7), Some(("NSE", "S500"))));
            assert_eq!((list.own_name(7), list.skipped()), (Some(("own", "own 7")), 2));
            assert_eq!((list.summary(), list.names().count()), (plain.summary(), 500));
        }
        // What is taken over from another list is this process's own.
        let mut held = read();
        let last_rows = "exchange,symbol,token\nNSE,OLD,900\n";
        assert_eq!(held.hold(&Shared::parse_on(last_rows.as_bytes(), today).unwrap(), &|_, _| true), 1);
        assert_eq!((held.key("NSE", "OLD"), held.table.is_shared()), (Some(900), false));
        assert_eq!(read(), plain);
    }

    #[test]
    fn a_file_that_is_whole_and_no_catalogue_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, today) = (folder.path().join("instruments"), Day::new(2026, 11, 30).unwrap());
        fs::write(&path, "exchange,symbol,token\nNSE,SBIN,1\n").unwrap();
        let files = [path];
        let shelf = Shelf::made_of(&files, "lines", today).unwrap();
        let list: Shared = read_at(&shelf, &files, today).unwrap();
        let body: Vec<u8> = shelf.open().unwrap().to_vec();
        for length in 0..body.len() {
            shelf.put(&[&body[..length]]).unwrap();
            let opened: Option<Shared> = open(&shelf);
            assert!(opened.is_none(), "{length}");
        }
        assert_eq!(read_at::<Lines, 3>(&shelf, &files, today).unwrap(), list);
        assert!(open::<Lines, 3>(&shelf).is_some(), "it was made again");
    }

    #[test]
    fn outside_of_a_process_of_a_host_nothing_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instruments");
        fs::write(&path, "exchange,symbol,token\nNSE,SBIN,1\n").unwrap();
        let list = Shared::read_shared(&[path]).unwrap();
        assert!(!list.table.is_shared());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
