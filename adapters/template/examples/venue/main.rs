//! A fake venue for the conformance suite: speaks the broker's protocol on a free port, and does what the suite says on
//! standard input. It ends with its input.

mod connection;
mod garbage;
mod list;
mod packet;
mod state;

use std::{io, net::SocketAddr, sync::Arc};

use adapter_conformance::{Answer, Command, Control, Hello, PROTOCOL, Packet, serve};
use parking_lot::Mutex;
use tokio::{net::TcpListener, runtime::Runtime};

use self::state::State;

struct Venue {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    // Dropped last: it ends all connections.
    _runtime: Runtime,
}

impl Venue {
    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection::serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state, _runtime: runtime })
    }

    fn send(&self, packets: &[Packet]) -> Answer {
        match self.state.lock().send(packets) {
            Ok(()) => Answer::Done,
            Err(reason) => Answer::Error(reason),
        }
    }
}

impl Control for Venue {
    fn hello(&self) -> Hello {
        let commands = ["accept", "tick", "partial", "frame", "disconnect", "mute", "garbage", "report"];
        Hello {
            venue: PROTOCOL,
            listening: self.address.to_string(),
            commands: commands.map(str::to_owned).into(),
            values: packet::VALUES.map(|(name, _)| name.to_owned()).into(),
            fixed_layout: false,
        }
    }

    fn obey(&mut self, command: Command) -> Answer {
        match command {
            Command::Accept { sets } => self.state.lock().accepted = sets,
            // What is absent in a packet of this broker did not change, so that both are the same.
            Command::Tick { packet } | Command::Partial { packet } => return self.send(&[packet]),
            Command::Frame { packets } => return self.send(&packets),
            Command::Disconnect => self.state.lock().disconnect(),
            Command::Mute => self.state.lock().mute(),
            Command::Garbage { seed, frames } => self.state.lock().garbage(seed, frames),
            Command::Report => return Answer::Report(self.state.lock().report.clone()),
        }
        Answer::Done
    }
}

fn main() -> io::Result<()> {
    serve(&mut Venue::start()?, io::stdin().lock(), io::stdout().lock())
}
