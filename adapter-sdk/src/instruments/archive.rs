//! Files of lists as brokers pack them: plain, in gzip, or alone in a ZIP archive.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder};

/// Bytes of the header before a file of a ZIP archive, without its name.
const ZIP_HEADER: usize = 30;

/// The methods that archives are made with: as it is, and deflate.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// What is in a file: told by its first bytes, whatever it is called. Of a ZIP archive that is its first
/// file. How much comes out is not known before it was read: bound it.
///
/// # Errors
/// When it cannot be read, or is an archive of a kind that is not known.
pub(super) fn unpacked<'a>(mut file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::with_capacity(ZIP_HEADER);
    file.by_ref().take(ZIP_HEADER as u64).read_to_end(&mut first)?;
    if let Some(&[b'P', b'K', 3, 4, _, _, flags, _, method_low, method_high, ref rest @ ..]) =
        first.get(..ZIP_HEADER)
    {
        let number = |place: usize| {
            let bytes = rest.get(place..place + 2).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u16::from_le_bytes)
        };
        // Behind the method: time, date, checksum and both sizes; then the lengths of the name and of what
        // else is said.
        let (size, skipped) = (
            u64::from(number(8)) | u64::from(number(10)) << 16,
            u32::from(number(16)) + u32::from(number(18)),
        );
        io::copy(&mut file.by_ref().take(skipped.into()), &mut io::sink())?;
        let is_known = flags & 1 == 0;
        return match u16::from_le_bytes([method_low, method_high]) {
            DEFLATED if is_known => Ok(Box::new(DeflateDecoder::new(file))),
            // The third flag says that the size stands behind the file.
            STORED if is_known && flags & 8 == 0 => Ok(Box::new(file.take(size))),
            _ => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is of a kind that is not known"))
            }
        };
    }
    let is_gzip = first.starts_with(&[0x1f, 0x8b]);
    let whole = io::Cursor::new(first).chain(file);
    if is_gzip { Ok(Box::new(MultiGzDecoder::new(whole))) } else { Ok(Box::new(whole)) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    /// The header of a file, as archivers write it, with what stands behind it.
    fn zip(method: u8, flags: u8, size: u32, packed: &[u8]) -> Vec<u8> {
        let mut archive = vec![b'P', b'K', 3, 4, 20, 0, flags, 0, method, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        archive.extend(size.to_le_bytes());
        archive.extend(size.to_le_bytes());
        archive.extend([5, 0, 3, 0]);
        archive.extend(b"a.txtxyz");
        archive.extend(packed);
        archive.extend(b"PK\x01\x02the directory");
        archive
    }

    fn deflated(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        unpacked(file)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_list_is_the_same_however_it_is_packed() {
        let text = "Exchange,Token\nNSE,22\n".repeat(50);
        let text = text.as_bytes();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        let length = u32::try_from(text.len()).unwrap();
        for file in [
            text.to_vec(),
            gzip.finish().unwrap(),
            zip(8, 0, 7, &deflated(text)),
            zip(8, 8, 0, &deflated(text)),
            zip(0, 0, length, text),
        ] {
            assert_eq!(read(&file).unwrap(), text);
        }
        for short in [&b""[..], b"P", b"PK\x03\x04", b"a,b\n"] {
            assert_eq!(read(short).unwrap(), short);
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_an_error() {
        for file in [
            zip(99, 0, 4, b"aes!"),
            zip(8, 1, 4, b"password"),
            zip(0, 8, 0, b"no size"),
            zip(8, 0, 4, b"\xff\xff\xff\xff"),
            vec![0x1f, 0x8b, 8, 0],
        ] {
            assert!(read(&file).is_err(), "{file:?}");
        }
        let whole = zip(8, 0, 9, &deflated(&b"a list of some length".repeat(90)));
        assert!(read(&whole[..50]).is_err(), "it is cut off");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\x1f\x8b"]), rest in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut file = start.to_vec();
            file.extend(rest);
            if let Ok(mut text) = unpacked(file.as_slice()) {
                _ = io::copy(&mut text.by_ref().take(1 << 16), &mut io::sink());
            }
        }
    }
}
