//! [`Incoming`]: what was received and not yet read.

use std::io;

use tokio::{io::AsyncReadExt, net::tcp::ReadHalf};

use crate::reply::{self, Answer, Received, Unexpected};

/// What was received and not yet read: never more than one answer that is not there as a whole, and what came with it.
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// How many bytes are not wanted that are yet to come.
    to_skip: usize,
    max_value_bytes: usize,
}

impl Incoming {
    pub(crate) fn new(max_value_bytes: usize) -> Self {
        Self { bytes: Vec::new(), to_skip: 0, max_value_bytes }
    }

    /// Receives what there is, with room for an answer of so many bytes.
    pub(crate) async fn receive(&mut self, read: &mut ReadHalf<'_>, expected: usize) -> io::Result<()> {
        /// Some hundred answers.
        const AT_ONCE: usize = 16 * 1024;
        /// A buffer that had to be larger is not kept.
        const KEPT_BYTES: usize = 256 * 1024;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.reserve(expected.saturating_sub(self.bytes.len()).max(AT_ONCE));
        if read.read_buf(&mut self.bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let skipped = self.to_skip.min(self.bytes.len());
        self.bytes.drain(..skipped);
        self.to_skip -= skipped;
        Ok(())
    }

    /// Takes a line, when there is one.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>, Unexpected> {
        let line = reply::line(&self.bytes)?.map(<[u8]>::to_vec);
        if let Some(line) = &line {
            self.bytes.drain(..line.len() + 2);
        }
        Ok(line)
    }

    /// Takes all answers that are there, and says how many bytes the next has at least.
    pub(crate) fn answers(&mut self, answers: &mut Vec<Answer>) -> Result<usize, Unexpected> {
        let mut read = 0;
        loop {
            match reply::read(&self.bytes[read..], self.max_value_bytes)? {
                Received::Answer(answer, length) => {
                    answers.push(answer);
                    read += length;
                }
                Received::Part(expected) => {
                    self.bytes.drain(..read);
                    return Ok(expected);
                }
            }
            if let Some(missing @ 1..) = read.checked_sub(self.bytes.len()) {
                self.to_skip = missing;
                read = self.bytes.len();
            }
        }
    }
}
