//! Markets as a broker numbers them.

/// The markets of a broker, each with its number in packets and the name that it has elsewhere, in requests
/// or in the list: written once, and read both ways.
///
/// ```
/// adapter_sdk::segments! {
///     /// The broker's segments.
///     pub enum Segment {
///         /// Shares of NSE.
///         Cash = 1, "NSE_EQ";
///         /// Derivatives of NSE.
///         Derivatives = 2, "NSE_FNO";
///     }
/// }
///
/// assert_eq!((Segment::Cash.code(), Segment::Cash.name()), (1, "NSE_EQ"));
/// assert_eq!((Segment::from_code(2), Segment::from_name("NSE_EQ")), (Some(Segment::Derivatives), Some(Segment::Cash)));
/// assert_eq!((Segment::from_code(3), Segment::from_name("nse_eq"), Segment::ALL.len()), (None, None, 2));
/// ```
#[macro_export]
macro_rules! segments {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$documented:meta])* $segment:ident = $code:literal, $called:literal;)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $visibility enum $name {
            $($(#[$documented])* $segment = $code),+
        }

        #[allow(dead_code, reason = "not every broker needs both ways")]
        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$segment),+];

            /// By the number.
            #[inline]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$segment),)+
                    _ => None,
                }
            }

            /// The number.
            #[inline]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// By the name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($called => Some(Self::$segment),)+
                    _ => None,
                }
            }

            /// The name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$segment => $called),+
                }
            }
        }
    };
}
