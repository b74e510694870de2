//! How `tickhost` commands reach a running host: its address and a secret, in a file that only the host's
//! user can read. And the secret that opens the console, which outlives the host.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::private;
use crate::{
    accounts::AccountsError,
    base::private::{read_private, write_private},
};

/// Name of the file, in the run directory of the data folder.
const FILE: &str = "control.json";

/// Longest file that is read.
const MAX_BYTES: u64 = 4_096;

#[derive(Serialize, Deserialize)]
struct Content {
    admin: SocketAddr,
    pid: u32,
    token: String,
}

/// Name of the file with the token of the console, in the data folder.
const CONSOLE_FILE: &str = "console.token";

/// Digits of a token.
const DIGITS: usize = 32;

/// A secret that opens something at the operator's port.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A new one.
    pub fn generate() -> Self {
        Self(format!("{:0DIGITS$x}", rand::random::<u128>()).into())
    }

    /// The token of the console of this data folder: that of its file, or a new one, which is written there.
    /// Whoever removes the file and starts the host again has revoked it.
    ///
    /// # Errors
    /// When the file cannot be read or written, others can read it, or it holds no token; the error says what
    /// to do.
    pub fn of_console(data_dir: &Path) -> Result<Self, AccountsError> {
        if let Some(token) = Self::read_console(data_dir)? {
            return Ok(token);
        }
        let token = Self::generate();
        write_private(&data_dir.join(CONSOLE_FILE), format!("{}\n", token.0.expose_secret()).as_bytes())?;
        Ok(token)
    }

    /// The token of the console of this data folder, none when it has none yet.
    ///
    /// # Errors
    /// When the file cannot be read, others can read it, or it holds no token; the error says what to do.
    pub fn read_console(data_dir: &Path) -> Result<Option<Self>, AccountsError> {
        let path = data_dir.join(CONSOLE_FILE);
        let Some(text) = read_private(&path)? else { return Ok(None) };
        let digits = text.expose_secret().trim();
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AccountsError::File {
                path: path.display().to_string(),
                reason: format!(
                    "is no token ({DIGITS} hex digits are); remove it, and the host makes another"
                ),
            });
        }
        Ok(Some(Self(digits.to_owned().into())))
    }

    /// The address of the console with the token behind the `#`, which browsers keep to themselves.
    pub fn console_link(&self, admin: SocketAddr) -> String {
        format!("http://{}/console#token={}", from_this_machine(admin), self.0.expose_secret())
    }

    /// Whether an `Authorization` header holds it.
    pub fn opens(&self, header: Option<&str>) -> bool {
        let given = header.and_then(|header| header.strip_prefix("Bearer "));
        given.is_some_and(|given| given.as_bytes().ct_eq(self.0.expose_secret().as_bytes()).into())
    }
}

/// The address at which a port is reached from this machine: one that listens on all addresses has none
/// itself.
pub fn from_this_machine(mut port: SocketAddr) -> SocketAddr {
    if port.ip().is_unspecified() {
        let loopback: IpAddr =
            if port.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
        port.set_ip(loopback);
    }
    port
}

/// The file of a running host. Dropping it removes the file.
#[derive(Debug)]
pub struct ControlFile {
    path: PathBuf,
}

impl ControlFile {
    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(run_dir: &Path, admin: SocketAddr, token: &Token) -> io::Result<Self> {
        let path = run_dir.join(FILE);
        let (admin, token) = (from_this_machine(admin), token.0.expose_secret().to_owned());
        let content = serde_json::to_vec(&Content { admin, pid: std::process::id(), token })?;
        write_private(&path, &content).map_err(io::Error::other)?;
        Ok(Self { path })
    }
}

impl Drop for ControlFile {
    fn drop(&mut self) {
        // Left behind, it leads to a port where nobody answers, which commands say.
        _ = fs::remove_file(&self.path);
    }
}

/// The host that runs with a data folder.
#[derive(Clone, Debug)]
pub struct RunningHost {
    /// Its operator's port, reached from this machine.
    pub admin: SocketAddr,
    /// Where it listens for commands of this user, where the system has such sockets.
    pub socket: PathBuf,
    /// Its process.
    pub pid: u32,
    /// What opens it.
    pub token: SecretString,
    /// The file that says so.
    pub file: PathBuf,
}

impl RunningHost {
    /// Reads the file of the host that runs with this data folder; none when there is none.
    ///
    /// # Errors
    /// When there is a file, and it cannot be read; the error names it.
    pub fn find(data_dir: &Path) -> io::Result<Option<Self>> {
        let run_dir = data_dir.join("run");
        let (file, socket) = (run_dir.join(FILE), private::path(&run_dir));
        match Self::read(&file, socket) {
            Ok(host) => Ok(Some(host)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", file.display()))),
        }
    }

    fn read(file: &Path, socket: PathBuf) -> io::Result<Self> {
        use io::Read as _;

        let mut text = Vec::new();
        fs::File::open(file)?.take(MAX_BYTES).read_to_end(&mut text)?;
        let Content { admin, pid, token } = serde_json::from_slice(&text)?;
        Ok(Self { admin, socket, pid, token: token.into(), file: file.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_finds_the_host_that_runs_and_none_when_it_has_ended() {
        let data_dir = tempfile::tempdir().unwrap();
        let run_dir = data_dir.path().join("run");
        fs::create_dir(&run_dir).unwrap();
        assert!(RunningHost::find(data_dir.path()).unwrap().is_none());
        let (token, admin) = (Token::generate(), SocketAddr::from(([127, 0, 0, 1], 8_766)));
        let file = ControlFile::write(&run_dir, admin, &token).unwrap();
        let _again = ControlFile::write(&run_dir, admin, &token).unwrap();
        let found = RunningHost::find(data_dir.path()).unwrap().unwrap();
        assert_eq!(found.admin, admin);
        assert!(token.opens(Some(&format!("Bearer {}", found.token.expose_secret()))));
        assert!(!token.opens(Some("Bearer ")) && !token.opens(None));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(run_dir.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(file);
        assert!(RunningHost::find(data_dir.path()).unwrap().is_none());
    }

    #[test]
    fn a_command_reaches_a_host_that_listens_on_all_addresses() {
        let data_dir = tempfile::tempdir().unwrap();
        let run_dir = data_dir.path().join("run");
        fs::create_dir(&run_dir).unwrap();
        for (listens, reached) in [("0.0.0.0:8766", "127.0.0.1:8766"), ("[::]:8766", "[::1]:8766")] {
            let _file = ControlFile::write(&run_dir, listens.parse().unwrap(), &Token::generate()).unwrap();
            let found = RunningHost::find(data_dir.path()).unwrap().unwrap();
            assert_eq!(found.admin.to_string(), reached);
        }
    }

    #[test]
    fn the_console_has_one_token_for_all_runs_until_its_file_is_removed() {
        let data_dir = tempfile::tempdir().unwrap();
        let admin = SocketAddr::from(([0, 0, 0, 0], 8_766));
        let first = Token::of_console(data_dir.path()).unwrap().console_link(admin);
        assert!(first.starts_with("http://127.0.0.1:8766/console#token="), "{first}");
        assert_eq!(Token::of_console(data_dir.path()).unwrap().console_link(admin), first);
        let file = data_dir.path().join(CONSOLE_FILE);
        fs::remove_file(&file).unwrap();
        assert_ne!(Token::of_console(data_dir.path()).unwrap().console_link(admin), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            let error = Token::of_console(data_dir.path()).unwrap_err().to_string();
            assert!(error.contains("other users can read it"), "{error}");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(&file, "guess").unwrap();
        let error = Token::of_console(data_dir.path()).unwrap_err().to_string();
        assert!(error.contains("is no token") && !error.contains("guess"), "{error}");
    }
}
