//! A file in memory.
#![expect(unsafe_code, reason = "mapping a file is an unsafe call, as another process might change the file")]

use std::{fs::File, io, ops::Deref};

use memmap2::{Mmap, MmapOptions};

/// A file of this folder's kind, from some byte on, which is read where it is.
#[derive(Debug)]
pub(in super::super) struct Mapped(Mmap);

impl Mapped {
    /// Maps a file that was found to be one of these, without what stands before this byte.
    pub(super) fn of(file: &File, begin: usize) -> io::Result<Self> {
        // SAFETY: nobody changes the file or makes it shorter: see the module above, which looks at owner,
        // mode and links of each file before it comes here, and never opens one for writing that has its
        // name.
        let map = unsafe { MmapOptions::new().offset(begin as u64).map(file)? };
        Ok(Self(map))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
