use std::{
    fs::FileTimes,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::*;

const BODY: &[&[u8]] = &[b"a list ", b"of instruments"];

fn today() -> Day {
    Day::new(2026, 11, 30).unwrap()
}

/// A folder with the broker's file, and where its list is.
fn shelf() -> (tempfile::TempDir, Shelf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instruments");
    fs::write(&file, "rows").unwrap();
    let shelf = Shelf::made_of(&[file], "sheet", today()).unwrap();
    (folder, shelf)
}

fn put(shelf: &Shelf) -> Arc<Mapped> {
    shelf.put(BODY).unwrap();
    shelf.open().unwrap()
}

/// Names in a folder, without those of the broker.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name != "instruments").collect();
    names.sort();
    names
}

#[test]
fn what_is_put_there_is_found_by_all_and_can_be_written_by_none() {
    let (folder, shelf) = shelf();
    assert!(shelf.open().is_none());
    assert_eq!(&put(&shelf)[..], b"a list of instruments");
    assert_eq!(&shelf.open().unwrap()[..], b"a list of instruments");
    let [name] = &names(folder.path())[..] else { panic!("one file") };
    let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, name.len()), (0o400, NAME.len() + 32));
}

#[test]
fn a_list_is_of_these_files_of_this_day_and_of_this_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (one, same, other) = (file("a", "rows"), file("b", "rows"), file("c", "ROWS"));
    let origin = |files: &[&PathBuf], sheet, today| {
        let files: Vec<PathBuf> = files.iter().map(|file| (*file).clone()).collect();
        Shelf::made_of(&files, sheet, today).unwrap().origin
    };
    let first = origin(&[&one], "sheet", today());
    assert_eq!(first, origin(&[&same], "sheet", today()), "whatever its name");
    let others = [
        origin(&[&other], "sheet", today()),
        origin(&[&one, &other], "sheet", today()),
        origin(&[&other, &one], "sheet", today()),
        origin(&[&one], "sheets", today()),
        origin(&[&one], "sheet", Day::new(2026, 12, 1).unwrap()),
        [0; 32],
    ];
    for (place, origin) in others.iter().enumerate() {
        assert!(*origin != first && !others[..place].contains(origin), "{place}");
    }
    assert!(Shelf::made_of(&[folder.path().join("none")], "sheet", today()).is_err());
}

#[test]
fn what_is_torn_damaged_or_of_something_else_is_not_used_and_is_replaced() {
    let (_folder, shelf) = shelf();
    drop(put(&shelf));
    let path = shelf.path();
    let whole = fs::read(&path).unwrap();
    let changed = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    };
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(changed).collect();
    damaged.extend((0..whole.len()).map(|length| whole[..length].to_vec()));
    damaged.push([&whole[..], b"!"].concat());
    for (number, bytes) in damaged.iter().enumerate() {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(shelf.open().is_none(), "{number}");
    }
    assert_eq!(&put(&shelf)[..], b"a list of instruments");
}

#[test]
fn a_file_that_others_may_change_is_not_used() {
    let (folder, shelf) = shelf();
    drop(put(&shelf));
    let (path, beside) = (shelf.path(), folder.path().join("beside"));
    for mode in [0o600, 0o440, 0o404, 0o420] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(shelf.open().is_none(), "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(shelf.open().is_some());
    fs::hard_link(&path, &beside).unwrap();
    assert!(shelf.open().is_none(), "it has another name");
    fs::remove_file(&path).unwrap();
    symlink(&beside, &path).unwrap();
    assert!(shelf.open().is_none(), "it is elsewhere");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(shelf.open().is_none(), "it is a folder");
}

#[test]
fn who_has_a_list_keeps_it_when_it_is_replaced_or_removed() {
    let (_folder, shelf) = shelf();
    let held = put(&shelf);
    shelf.put(&[b"another"]).unwrap();
    assert_eq!(&shelf.open().unwrap()[..], b"another");
    fs::remove_file(shelf.path()).unwrap();
    assert_eq!(&held[..], b"a list of instruments");
}

#[test]
fn the_oldest_lists_go_and_so_does_what_was_left_behind() {
    let (folder, shelf) = shelf();
    let age = |name: &str, minutes: u64| {
        let path = folder.path().join(name);
        let file = File::create(&path).unwrap();
        let at = SystemTime::now() - Duration::from_mins(minutes);
        file.set_times(FileTimes::new().set_modified(at)).unwrap();
    };
    (1..=6).for_each(|number| age(&format!("list-{number}"), number));
    age("list-1.7-00.new", 1);
    age("list-1.8-00.new", 60);
    age("instruments-1.new", 60);
    drop(put(&shelf));
    let own = shelf.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut wanted = ["list-1", "list-2", "list-3", "list-1.7-00.new", "instruments-1.new", own.as_str()];
    wanted.sort_unstable();
    assert_eq!(names(folder.path()), wanted);
}

#[test]
fn one_at_a_time_has_the_turn() {
    let (_folder, shelf) = shelf();
    let first = shelf.turn().unwrap();
    let lock = File::open(shelf.folder.join("lists.lock")).unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    drop(first);
    assert!(shelf.turn().is_some());
}

#[test]
fn a_folder_that_cannot_be_written_leaves_nothing_and_says_so() {
    let (folder, shelf) = shelf();
    fs::remove_file(folder.path().join("instruments")).unwrap();
    fs::remove_dir(folder.path()).unwrap();
    assert!(shelf.put(BODY).is_err());
    assert!(shelf.open().is_none() && shelf.turn().is_none());
}

#[test]
fn the_library_is_found_by_where_its_code_is() {
    assert!(own_library().is_some());
    let line = "7f00-7f10 r-xp 00002000 fd:01 42                         /a folder/libadapter_x.so";
    assert_eq!(file_at(line, 0x7f0f), Some("/a folder/libadapter_x.so"));
    assert_eq!((file_at(line, 0x7f10), file_at(line, 0x7eff)), (None, None));
    for other in
        ["7f00-7f10 r-xp 00000000 00:00 0", "7f00-7f10 rw-p 00000000 00:00 0     [heap]", "", "x-y z"]
    {
        assert_eq!(file_at(other, 0x7f05), None, "{other}");
    }
}
