//! HTTP/2 as frames (RFC 9113), for what no client would send.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::PATIENCE;

/// A connection whose client says exactly what it is told to.
#[derive(Debug)]
pub struct Http2(TcpStream);

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type: one of [`Http2`]'s.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Http2 {
    /// A type of frame: bytes of a body.
    pub const DATA: u8 = 0;
    /// The head of a message, or its beginning.
    pub const HEADERS: u8 = 1;
    /// Advice on priorities, which is deprecated.
    pub const PRIORITY: u8 = 2;
    /// `RST_STREAM`: the end of a stream that is none of a message.
    pub const RESET: u8 = 3;
    /// Settings, or the answer to them.
    pub const SETTINGS: u8 = 4;
    /// A ping, or the answer to one.
    pub const PING: u8 = 6;
    /// The end of the connection, and why.
    pub const GO_AWAY: u8 = 7;
    /// How much more may be sent.
    pub const WINDOW_UPDATE: u8 = 8;
    /// More of a head.
    pub const CONTINUATION: u8 = 9;

    /// The flag of the last frame of a stream; of SETTINGS and PING, that it is an answer.
    pub const END_STREAM: u8 = 1;
    /// The flag of the last frame of a block of headers.
    pub const END_HEADERS: u8 = 4;

    /// The error code `ENHANCE_YOUR_CALM`.
    pub const ENHANCE_YOUR_CALM: u32 = 11;

    /// Connects, and begins with these settings.
    ///
    /// # Panics
    ///
    /// When there is no server.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        for timeout in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            timeout(&stream, Some(PATIENCE)).unwrap();
        }
        let mut connection = Self(stream);
        connection.send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [id.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat())
            .collect();
        connection.send(Self::SETTINGS, 0, 0, &settings);
        connection
    }

    /// Has writing fail when the server reads nothing for so long.
    ///
    /// # Panics
    ///
    /// With no time.
    pub fn time_out_writes_after(&mut self, time: Duration) {
        self.0.set_write_timeout(Some(time)).unwrap();
    }

    /// Sends bytes as they are. Whether the connection is open still.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends a frame. Whether the connection is open still.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send_bytes(&frame(kind, flags, stream, payload))
    }

    /// Sends a request without a body.
    pub fn request(&mut self, stream: u32, headers: &[(&str, &str)]) -> bool {
        self.send(Self::HEADERS, Self::END_HEADERS | Self::END_STREAM, stream, &block(headers))
    }

    /// The next frame; `None`: the server has closed the connection.
    ///
    /// # Panics
    ///
    /// When it does neither.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.fill(&mut payload)?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame that fits, and settles what the protocol asks for meanwhile; `None`: the connection was closed.
    pub fn wait_for(&mut self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next_frame()?;
            match frame.kind {
                _ if fits(&frame) => return Some(frame),
                Self::SETTINGS if frame.flags == 0 => _ = self.send(Self::SETTINGS, Self::END_STREAM, 0, &[]),
                Self::PING if frame.flags == 0 => _ = self.send(Self::PING, Self::END_STREAM, 0, &frame.payload),
                _ => {}
            }
        }
    }

    /// The status of the first response on a connection; `None`: the stream was reset, or the connection ended.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn first_status(&mut self, stream: u32) -> Option<u16> {
        let frame = self.wait_for(|frame| {
            frame.kind == Self::GO_AWAY || frame.stream == stream && matches!(frame.kind, Self::HEADERS | Self::RESET)
        })?;
        (frame.kind == Self::HEADERS).then(|| status(&frame.payload))
    }

    /// The error code that the server ends the connection with; `None`: it ended without one.
    pub fn error(&mut self) -> Option<u32> {
        let frame = self.wait_for(|frame| frame.kind == Self::GO_AWAY && frame.payload[4..8] != [0; 4])?;
        Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("the server says nothing and does not close the connection")
            }
            read => read.ok(),
        }
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of headers (RFC 7541): literals without an index, in this order.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of 7 bits.
fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return bytes.push(u8::try_from(value).unwrap());
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// The status at the beginning of a block that is a connection's first: from the static table, or its digits.
fn status(block: &[u8]) -> u16 {
    match block {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [0x08 | 0x18 | 0x48, length, rest @ ..] if length & 0x80 == 0 => {
            std::str::from_utf8(&rest[..usize::from(*length)]).unwrap().parse().unwrap()
        }
        [0x08 | 0x18 | 0x48, length, rest @ ..] => digits(&rest[..usize::from(length & 0x7f)]),
        _ => panic!("no status: {block:?}"),
    }
}

/// Three digits in Huffman's code (RFC 7541, appendix B).
fn digits(code: &[u8]) -> u16 {
    let mut bits = code.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut take = |count: usize| bits.by_ref().take(count).fold(0, |all, bit| all << 1 | bit);
    let mut digit = || match take(5) {
        small @ 0..=2 => small,
        // `3` to `9` are of 6 bits, from 0b011001 on.
        large => (large << 1 | take(1)) - 0b01_1001 + 3,
    };
    digit() * 100 + digit() * 10 + digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_however_it_is_written() {
        assert_eq!((status(&[0x88]), status(&[0x8c, 0x61])), (200, 400));
        assert_eq!(status(b"\x48\x03408"), 408);
        // 302 as RFC 7541 C.6.1 has it, and 307 of C.6.2.
        assert_eq!((status(&[0x48, 0x82, 0x64, 0x02]), status(&[0x48, 0x83, 0x64, 0x0e, 0xff])), (302, 307));
    }
}
