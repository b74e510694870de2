//! Why the system refused a file, in words that say what to do. What has no words here keeps the system's.

use std::io::{self, ErrorKind};

/// Why a file could not be read, to be read after "cannot be read:".
pub fn of_reading(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => {
            "this user may not read it; give it the right to with chmod or chown".to_owned()
        }
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        ErrorKind::NotADirectory => "what it should lie in is not a folder".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8 text; save it as UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a file or a folder could not be made or written, to be read after "cannot be written:".
pub fn of_writing(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "this user may not; give this user the right to, or name another folder".to_owned()
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "it is not a folder, or lies in something that is none; name another".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => "its file system is read-only; name another folder".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_meet_has_words_and_the_rest_keeps_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| of_reading(&std::fs::read_to_string(dir.path().join(name)).unwrap_err());
        assert_eq!(read("nowhere"), "there is no such file");
        std::fs::write(dir.path().join("text"), b"\xff\xfe").unwrap();
        assert!(read("text").contains("save it as UTF-8"));
        assert!(
            of_writing(&std::fs::create_dir(dir.path().join("text")).unwrap_err()).contains("not a folder")
        );
        let other = io::Error::other("the dog ate it");
        assert_eq!((of_reading(&other), of_writing(&other)), (other.to_string(), other.to_string()));
    }
}
