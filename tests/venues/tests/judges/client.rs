//! A client program that goes on for as long as it has input.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    task::JoinHandle,
    time::timeout,
};

use super::{LIMIT, program};

/// A client program while it runs.
pub(super) struct Client {
    child: Child,
    /// It ends with this.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    errors: JoinHandle<String>,
}

impl Client {
    /// None without an interpreter.
    pub(super) async fn start(name: &str, asked: &Value) -> Option<Self> {
        let mut command = program(name)?;
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let errors = tokio::spawn(async move {
            let mut errors = String::new();
            stderr.read_to_string(&mut errors).await.unwrap();
            errors
        });
        Some(Self { child, input: Some(input), output, errors })
    }

    /// The next line that it prints; none when it has ended.
    async fn line(&mut self) -> Option<String> {
        if let Ok(line) = timeout(LIMIT, self.output.next_line()).await {
            return line.unwrap();
        }
        self.child.kill().await.unwrap();
        panic!("no line in time: {}", (&mut self.errors).await.unwrap());
    }

    /// What it prints next.
    pub(super) async fn next(&mut self) -> Value {
        match self.line().await {
            Some(line) => serde_json::from_str(&line).unwrap(),
            None => panic!("it ended: {}", (&mut self.errors).await.unwrap()),
        }
    }

    /// Says something to it.
    pub(super) async fn tell(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    /// Ends it with a goodbye.
    pub(super) async fn end(mut self) {
        self.input = None;
        while let Some(line) = self.line().await {
            assert!(line.contains("\"close\""), "{line}");
        }
        let status = self.child.wait().await.unwrap();
        assert!(status.success(), "{}", self.errors.await.unwrap());
    }
}
