//! Lists that brokers give page by page.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use reqwest::Url;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{
    Access, InstrumentFile, ListSource,
    file::{Fresh, read_aside},
};
use crate::{AdapterError, net::Http};

/// Finds the next page: by the address of a page and what is in it.
type Next = dyn Fn(&str, &[u8]) -> Result<Option<String>, AdapterError> + Send + Sync;

/// How each file of a list goes on: its pages are got one after the other and kept as one file, one behind
/// the other. A page that does not come, and one page too many, cost the file. For lists of
/// [`Layout::JsonObjectsAt`](super::Layout::JsonObjectsAt), or your own [`List::read`](super::List::read).
#[derive(Clone)]
pub struct Pages {
    most: usize,
    next: Arc<Next>,
}

impl Pages {
    /// At most so many pages of each file. The function gives the address of the page behind one, by the
    /// address and the bytes of that one; none behind the last. It runs where it may take its time. The next
    /// address is on the same server, or it is refused: it may be signed.
    pub fn new(
        most: usize,
        next: impl Fn(&str, &[u8]) -> Result<Option<String>, AdapterError> + Send + Sync + 'static,
    ) -> Self {
        Self { most, next: Arc::new(next) }
    }

    /// At most so many pages of each file, which are JSON objects. The member at a path (names with dots
    /// between them, such as `meta.after`) says where the next page begins, and is sent as a parameter of the
    /// same address; on the last page it is missing, null or empty.
    pub fn of_cursor(most: usize, member: &'static str, parameter: &'static str) -> Self {
        Self::new(most, move |address, page| {
            let page: Value = serde_json::from_slice(page)
                .map_err(|_| AdapterError::protocol("a page of the list of instruments is no JSON"))?;
            let cursor = match member.split('.').try_fold(&page, |value, name| value.get(name)) {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::String(cursor)) => cursor.clone(),
                Some(Value::Number(cursor)) => cursor.to_string(),
                Some(_) => {
                    return Err(AdapterError::protocol(
                        "a page of the list of instruments has an odd cursor",
                    ));
                }
            };
            if cursor.is_empty() {
                return Ok(None);
            }
            let mut next = parsed(address)?;
            let kept =
                next.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect::<Vec<_>>();
            next.query_pairs_mut().clear().extend_pairs(kept).append_pair(parameter, &cursor);
            Ok(Some(next.into()))
        })
    }

    /// Gets what is behind the first page of a file, and writes it there.
    pub(super) async fn follow(
        &self,
        (http, access): (&Http, &Access),
        source: &ListSource,
        (file, first): (&InstrumentFile, &str),
        whole: &Fresh,
    ) -> Result<(), AdapterError> {
        let (mut address, mut page) = (first.to_owned(), None::<Fresh>);
        let mut bytes_left = source.max_bytes.saturating_sub(length(&whole.path));
        for count in 1.. {
            let path = page.as_ref().map_or(&whole.path, |page| &page.path).clone();
            let Some(next) = self.behind(address.clone(), path).await? else { break };
            if count >= self.most {
                let most = self.most;
                return Err(AdapterError::protocol(format!("it has more than {most} pages")));
            }
            if parsed(&next)?.origin() != parsed(first)?.origin() || next == address {
                return Err(AdapterError::protocol("its next page is at an address that cannot be"));
            }
            let request = access.sign(http.get(&next)).timeout(source.timeout);
            let fresh = file.fetch(request, bytes_left).await?;
            bytes_left = bytes_left.saturating_sub(append(&whole.path, &fresh.path).await?);
            (address, page) = (next, Some(fresh));
        }
        Ok(())
    }

    async fn behind(&self, address: String, page: PathBuf) -> Result<Option<String>, AdapterError> {
        let next = Arc::clone(&self.next);
        read_aside(move || {
            let page = fs::read(&page).map_err(|error| AdapterError::io("a page of the list", error))?;
            next(&address, &page)
        })
        .await
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("most", &self.most).finish_non_exhaustive()
    }
}

/// Not shown: it may hold a key.
fn parsed(address: &str) -> Result<Url, AdapterError> {
    Url::parse(address).map_err(|_| AdapterError::protocol("a page of the list has an address that is none"))
}

fn length(file: &PathBuf) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// Writes a page behind the others, and gives how many bytes it has.
async fn append(whole: &PathBuf, page: &PathBuf) -> Result<u64, AdapterError> {
    let written = async {
        let mut output = tokio::fs::OpenOptions::new().append(true).open(whole).await?;
        output.write_all(b"\n").await?;
        let count = tokio::io::copy(&mut tokio::fs::File::open(page).await?, &mut output).await?;
        output.sync_all().await?;
        Ok(count)
    };
    // A disk that is full may not be so at the next try.
    written.await.map_err(|error: std::io::Error| {
        AdapterError::network(format!("{}: {error}", whole.display())).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_takes_its_place_in_the_address() {
        let pages = Pages::of_cursor(9, "meta.after", "after");
        let next = |address: &str, page: &str| (pages.next)(address, page.as_bytes());
        let page = r#"{"result":[],"meta":{"after":"g3Q&=é/","before":null}}"#;
        let second = next("https://x/v2/products?states=live&page_size=2", page).unwrap().unwrap();
        assert_eq!(second, "https://x/v2/products?states=live&page_size=2&after=g3Q%26%3D%C3%A9%2F");
        let third = next(&second, r#"{"meta":{"after":7}}"#).unwrap();
        assert_eq!(third.as_deref(), Some("https://x/v2/products?states=live&page_size=2&after=7"));
        for last in [r#"{"meta":{"after":null}}"#, r#"{"meta":{"after":""}}"#, r#"{"meta":null}"#, "[]"] {
            assert_eq!(next(&second, last), Ok(None), "{last}");
        }
        for odd in ["", "<html>", r#"{"meta":{"after":[]}}"#] {
            assert!(next(&second, odd).is_err(), "{odd}");
        }
    }
}
