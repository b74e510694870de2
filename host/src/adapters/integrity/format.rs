//! Whether a file is a whole library for this system, before the system's loader touches it: it kills the
//! process that opens a truncated ELF file.

use std::{
    env::consts::ARCH,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::IntegrityError;

/// Bytes of the header of a 64-bit ELF file.
const HEADER_BYTES: usize = 64;

/// Bytes of an entry of the table of segments; all 64-bit files have this size.
const SEGMENT_BYTES: u16 = 56;

/// Machines by their number in an ELF file, as the standard library calls them.
const MACHINES: [(u16, &str); 7] = [
    (3, "x86"),
    (21, "powerpc64"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// Systems by what their libraries begin with.
const SYSTEMS: [(&[u8], &str); 5] = [
    (b"\x7fELF", "ELF"),
    (b"MZ", "Windows"),
    (b"\xcf\xfa\xed\xfe", "macOS"),
    (b"\xca\xfe\xba\xbe", "macOS"),
    (b"!<arch>\n", "static"),
];

/// What this system loads.
const OWN: &str = if cfg!(windows) {
    "Windows"
} else if cfg!(target_vendor = "apple") {
    "macOS"
} else {
    "ELF"
};

/// Checks the copy of `file`, which has `length` bytes.
pub(super) fn check(file: &Path, copy: &mut (impl Read + Seek), length: u64) -> Result<(), IntegrityError> {
    let read = |copy: &mut _| -> io::Result<Vec<u8>> { bytes_at(copy, 0, HEADER_BYTES) };
    let header = read(copy).map_err(|source| IntegrityError::Unreadable { file: file.to_owned(), source })?;
    let foreign = |reason: String| IntegrityError::Foreign { file: file.to_owned(), reason };
    match SYSTEMS.iter().find(|(magic, _)| header.starts_with(magic)) {
        Some((_, OWN)) => {}
        Some((_, system)) => {
            return Err(foreign(format!("it is a {system} library, this host loads {OWN} ones")));
        }
        None => return Err(foreign(format!("it is no {OWN} file"))),
    }
    if OWN != "ELF" || !cfg!(all(target_pointer_width = "64", target_endian = "little")) {
        return Ok(());
    }
    if header.get(4..6).is_some_and(|class| class != [2, 1]) {
        return Err(foreign("it is no ELF file of 64 bits, little-endian".to_owned()));
    }
    let end = match end(copy, &header) {
        Ok(end) => end,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(source) => return Err(IntegrityError::Unreadable { file: file.to_owned(), source }),
    };
    if end.is_none_or(|end| end > length) {
        return Err(IntegrityError::Truncated { file: file.to_owned(), bytes: length });
    }
    let machine = half(&header, 0x12);
    match MACHINES.iter().find(|(number, _)| Some(*number) == machine) {
        Some((_, name)) if *name != ARCH && MACHINES.iter().any(|(_, known)| *known == ARCH) => {
            Err(foreign(format!("it was built for {name}, this host for {ARCH}")))
        }
        _ => Ok(()),
    }
}

/// Where the last thing ends that the headers speak of; none when they are cut off or make no sense.
///
/// Linkers write the section headers at the end: `e_shoff + e_shentsize * e_shnum`. A stripped file may have
/// none.
fn end(copy: &mut (impl Read + Seek), header: &[u8]) -> io::Result<Option<u64>> {
    let fields = || {
        let sections = u64::from(half(header, 0x3a)?) * u64::from(half(header, 0x3c)?);
        let sections = word(header, 0x28)?.checked_add(sections)?;
        Some((sections, word(header, 0x20)?, half(header, 0x36)?, half(header, 0x38)?))
    };
    let Some((mut end, table, size, count)) = fields() else { return Ok(None) };
    if size != SEGMENT_BYTES {
        return Ok(None);
    }
    // At most 3.5 MiB.
    let table_bytes = usize::from(size) * usize::from(count);
    let table = bytes_at(copy, table, table_bytes)?;
    if table.len() < table_bytes {
        return Ok(None);
    }
    for segment in table.chunks_exact(usize::from(size)) {
        let segment_end = || word(segment, 8)?.checked_add(word(segment, 32)?);
        match segment_end() {
            Some(segment_end) => end = end.max(segment_end),
            None => return Ok(None),
        }
    }
    Ok(Some(end))
}

/// Up to `count` bytes from an offset; fewer where the file ends.
fn bytes_at(copy: &mut (impl Read + Seek), offset: u64, count: usize) -> io::Result<Vec<u8>> {
    copy.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    copy.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}
