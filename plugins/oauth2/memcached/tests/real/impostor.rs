//! [`Impostor`]: a server that says what a test has it say.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A server that says what a test has it say. Its threads end with the test program.
pub(crate) struct Impostor {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

/// A connection to it.
pub(crate) struct Guest {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Impostor {
    /// Each connection is served by this, with how many came before.
    pub(crate) fn start(serve: impl Fn(usize, Guest) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, accepted) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let (serve, counter) = (Arc::new(serve), Arc::clone(&accepted));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
                let before = counter.fetch_add(1, Ordering::SeqCst);
                let lines = BufReader::new(stream.try_clone().unwrap());
                thread::spawn(move || serve(before, Guest { stream, lines }));
            }
        });
        Self { port, accepted }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Guest {
    /// Says what a good server says first.
    pub(crate) fn greet(&mut self) -> &mut Self {
        assert_eq!(self.hear().as_deref(), Some("version"));
        self.say("VERSION 1.6.18\r\n");
        self
    }

    /// The next line that it sends; none: it has closed the connection.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.lines.read_line(&mut line).unwrap_or(0);
        (bytes > 0).then(|| line.trim_end().to_owned())
    }

    pub(crate) fn say(&mut self, text: &str) {
        // Whoever does not want to hear it has closed the connection.
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Answers all gets as a server without values.
    pub(crate) fn miss(&mut self) {
        while let Some(line) = self.hear() {
            self.say(&format!("EN {}\r\n", number(&line)));
        }
    }

    /// Says nothing until the connection is closed.
    pub(crate) fn ignore(&mut self) {
        while self.hear().is_some() {}
    }
}

/// The number in a request, as it is repeated.
pub(crate) fn number(line: &str) -> &str {
    line.split(' ').find(|word| word.starts_with('O')).unwrap()
}
