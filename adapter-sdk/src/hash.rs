//! A hash for names of files.

/// FNV-1a with 64 bits: the same in every version and on every machine, unlike the standard library's hashes.
/// Nothing that guards a secret: what has few values can be guessed from it.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_that_of_its_authors() {
        assert_eq!(super::fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::fingerprint("foobar"), 0x8594_4171_f739_67e8);
    }
}
