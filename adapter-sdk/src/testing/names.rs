//! Securities of the cash segments and their names, for the tests of adapters: whatever way a broker lists
//! them, all adapters give them the same names.

/// A security as its exchange lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cash {
    /// `NSE` or `BSE`.
    pub exchange: &'static str,
    /// Its symbol.
    pub symbol: &'static str,
    /// Its series on NSE, its group on BSE.
    pub series: &'static str,
    /// OpenAlgo's name.
    pub name: &'static str,
}

const fn nse(symbol: &'static str, series: &'static str, name: &'static str) -> Cash {
    Cash { exchange: "NSE", symbol, series, name }
}

const fn bse(symbol: &'static str, series: &'static str, name: &'static str) -> Cash {
    Cash { exchange: "BSE", symbol, series, name }
}

/// One list: of a symbol that is here in several series, these are all. No symbol and series stand here
/// twice.
pub const CASH: &[Cash] = &[
    nse("SBIN", "EQ", "SBIN"),
    nse("BAJAJ-AUTO", "EQ", "BAJAJ-AUTO"),
    nse("M&M", "EQ", "M&M"),
    nse("NIFTYBEES", "EQ", "NIFTYBEES"),
    // Settled trade by trade.
    nse("20MICRONS", "BE", "20MICRONS-BE"),
    nse("NAM-INDIA", "BE", "NAM-INDIA-BE"),
    nse("SUSPECT", "BZ", "SUSPECT-BZ"),
    // Of small companies.
    nse("SMALLCO", "SM", "SMALLCO-SM"),
    nse("SMALLER", "ST", "SMALLER-ST"),
    nse("SMALLEST", "SZ", "SMALLEST-SZ"),
    // Of trusts, and funds.
    nse("PGINVIT", "IV", "PGINVIT-IV"),
    nse("EMBASSY", "RR", "EMBASSY-RR"),
    nse("FUND", "MF", "FUND-MF"),
    // Bonds of governments.
    nse("SGBAUG28V", "GB", "SGBAUG28V-GB"),
    nse("717GS2030", "GS", "717GS2030-GS"),
    nse("742TN2034", "SG", "742TN2034-SG"),
    nse("364D120327", "TB", "364D120327-TB"),
    // A share, and what else has its symbol.
    nse("ELECTCAST", "EQ", "ELECTCAST"),
    nse("ELECTCAST", "W1", "ELECTCAST-W1"),
    nse("ELECTCAST", "BL", "ELECTCAST-BL"),
    nse("ELECTCAST", "T0", "ELECTCAST-T0"),
    nse("IRFC", "BE", "IRFC-BE"),
    nse("IRFC", "N1", "IRFC-N1"),
    nse("IRFC", "NA", "IRFC-NA"),
    // The share itself is not listed.
    nse("ORPHAN", "W1", "ORPHAN-W1"),
    nse("SHARELESS", "P1", "SHARELESS-P1"),
    nse("PARTPAID", "E1", "PARTPAID-E1"),
    // Listed twice, and in neither of the two as the usual one.
    nse("TWICE", "BE", "TWICE-BE"),
    nse("TWICE", "SM", "TWICE-SM"),
    // Listed twice, and in one of the two as the usual one.
    nse("MOVED", "EQ", "MOVED"),
    nse("MOVED", "BE", "MOVED-BE"),
    bse("SBIN", "A", "SBIN"),
    bse("BAJAJ-AUTO", "A", "BAJAJ-AUTO"),
    bse("20MICRONS", "T", "20MICRONS"),
    bse("SMALLCO", "M", "SMALLCO"),
    bse("795IRFC26", "F", "795IRFC26"),
    bse("SGBAUG28V", "G", "SGBAUG28V"),
];

/// What clients ask for, exchange and symbol, and the name of what they get by the list [`CASH`].
pub const SPELLINGS: &[(&str, &str, Option<&str>)] = &[
    ("NSE", "SBIN-EQ", Some("SBIN")),
    ("NSE", "BAJAJ-AUTO-EQ", Some("BAJAJ-AUTO")),
    ("NSE", "20MICRONS", Some("20MICRONS-BE")),
    ("NSE", "NAM-INDIA", Some("NAM-INDIA-BE")),
    ("NSE", "SUSPECT", Some("SUSPECT-BZ")),
    ("NSE", "SMALLCO", Some("SMALLCO-SM")),
    ("NSE", "SMALLER", Some("SMALLER-ST")),
    ("NSE", "SMALLEST", Some("SMALLEST-SZ")),
    ("NSE", "PGINVIT", Some("PGINVIT-IV")),
    ("NSE", "EMBASSY", Some("EMBASSY-RR")),
    ("NSE", "FUND", Some("FUND-MF")),
    ("NSE", "SGBAUG28V", Some("SGBAUG28V-GB")),
    ("NSE", "717GS2030", Some("717GS2030-GS")),
    ("NSE", "742TN2034", Some("742TN2034-SG")),
    ("NSE", "364D120327", Some("364D120327-TB")),
    // Two instruments, each with its own name.
    ("NSE", "MOVED", Some("MOVED")),
    ("NSE", "MOVED-EQ", Some("MOVED")),
    ("NSE", "MOVED-BE", Some("MOVED-BE")),
    ("NSE", "ELECTCAST", Some("ELECTCAST")),
    ("NSE", "ELECTCAST-EQ", Some("ELECTCAST")),
    // Its bonds are none of it, however many a broker lists.
    ("NSE", "IRFC", Some("IRFC-BE")),
    // Nothing is another series than it says.
    ("NSE", "SBIN-BE", None),
    ("NSE", "SBIN-T0", None),
    ("NSE", "20MICRONS-EQ", None),
    ("NSE", "SGBAUG28V-EQ", None),
    ("NSE", "IRFC-N2", None),
    // A warrant, a preference share, one that is paid in part: none of them is the share.
    ("NSE", "ORPHAN", None),
    ("NSE", "SHARELESS", None),
    ("NSE", "PARTPAID", None),
    ("NSE", "TWICE", None),
    ("NSE", "NOSUCH", None),
    ("NSE", "BAJAJ", None),
    ("NSE", "", None),
    ("BSE", "SBIN-A", Some("SBIN")),
    ("BSE", "795IRFC26-F", Some("795IRFC26")),
    ("BSE", "SGBAUG28V-G", Some("SGBAUG28V")),
    ("BSE", "SBIN-EQ", None),
    ("BSE", "20MICRONS-BE", None),
    ("BSE", "BAJAJ", None),
];

/// Asserts that a list in which a broker has everything of [`CASH`] names it as it should, and finds it by
/// its other spellings. `find` gives the exchange and the name of what clients get for an exchange and a
/// symbol.
pub fn assert_cash_names(find: impl Fn(&str, &str) -> Option<(String, String)>) {
    for Cash { exchange, name, .. } in CASH {
        let wanted = Some(((*exchange).to_owned(), (*name).to_owned()));
        assert_eq!(find(exchange, name), wanted, "{exchange}:{name}");
    }
    for (exchange, asked, name) in SPELLINGS {
        let wanted = name.map(|name| ((*exchange).to_owned(), name.to_owned()));
        assert_eq!(find(exchange, asked), wanted, "{exchange}:{asked}");
    }
}
