//! A server of files that change, such as a broker's lists of instruments on a bad day.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

/// Files by path, such as `/list`; what is not there is answered with 503.
#[derive(Debug, Default)]
struct Shown {
    files: BTreeMap<String, Vec<u8>>,
    requests: usize,
}

/// Serves files over HTTP on loopback, for as long as the process lives.
#[derive(Debug)]
pub struct FileServer {
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

impl FileServer {
    /// Without a file yet.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, shown) = (listener.local_addr()?, Arc::<Mutex<Shown>>::default());
        let files = Arc::clone(&shown);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone is no matter.
                _ = answer(stream, &files);
            }
        });
        Ok(Self { address, shown })
    }

    /// Shows a file under a path from now on.
    pub fn show(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.shown.lock().files.insert(path.to_owned(), content.into());
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shown.lock().requests
    }
}

fn answer(mut stream: TcpStream, shown: &Mutex<Shown>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let content = {
        let mut shown = shown.lock();
        shown.requests += 1;
        shown.files.get(path).cloned()
    };
    let status = if content.is_some() { "200 OK" } else { "503 Service Unavailable" };
    let content = content.unwrap_or_default();
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", content.len())?;
    stream.write_all(&content)
}
