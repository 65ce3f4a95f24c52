//! HTTP/1.1 as bytes, for requests that no client would send.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{PATIENCE, Reply};

/// What a server answers to exactly these bytes.
///
/// # Panics
///
/// When that is no response within [`PATIENCE`].
pub fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    try_exchange(address, &request).unwrap_or_else(|| {
        panic!("no response to {}", request.as_ref().escape_ascii());
    })
}

/// What a server answers to exactly these bytes; `None` when it closes the connection without a response.
///
/// # Panics
///
/// When it cannot be reached, answers something else, or nothing within [`PATIENCE`].
pub fn try_exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server may have answered, and closed, before it has read everything.
    let _ = stream.write_all(request.as_ref());
    let is_head = request.as_ref().starts_with(b"HEAD ");
    read(&mut BufReader::new(stream), is_head)
}

/// What a server answers to exactly these bytes on a connection that may go on afterwards; `None` when it closes it instead.
///
/// # Panics
///
/// When it answers something else, or the connection's own deadline is over.
pub fn exchange_on(stream: &mut (impl Read + Write), request: impl AsRef<[u8]>) -> Option<Reply> {
    // Of a connection that the server closed, reading tells.
    let _ = stream.write_all(request.as_ref()).and_then(|()| stream.flush());
    // Nothing follows the one response that could get lost in the buffer.
    read(&mut BufReader::new(stream), request.as_ref().starts_with(b"HEAD "))
}

/// Every response to exactly these bytes, until the server closes the connection of its own accord.
///
/// # Panics
///
/// When it does not within [`PATIENCE`], or answers something else.
pub fn replies(address: SocketAddr, requests: impl AsRef<[u8]>) -> Vec<Reply> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(requests.as_ref());
    let mut reader = BufReader::new(stream);
    std::iter::from_fn(|| read(&mut reader, false)).collect()
}

/// Reads one response.
fn read(reader: &mut impl BufRead, is_head: bool) -> Option<Reply> {
    loop {
        let line = line(reader)?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let headers = headers(reader);
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let has_body = !(is_head || status == 204 || status == 304 || status == 101);
        let body = if has_body { body(reader, &headers) } else { Vec::new() };
        return Some(Reply { status, headers, body: String::from_utf8(body).unwrap() });
    }
}

fn headers(reader: &mut impl BufRead) -> HeaderMap {
    let mut headers = HeaderMap::new();
    loop {
        let line = line(reader).expect("the headers end");
        if line.is_empty() {
            return headers;
        }
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
}

fn body(reader: &mut impl BufRead, headers: &HeaderMap) -> Vec<u8> {
    let mut body = Vec::new();
    if headers.get(header::TRANSFER_ENCODING).is_some_and(|coding| coding == "chunked") {
        loop {
            let size = line(reader).expect("a chunk has a size");
            let size = u64::from_str_radix(size.trim(), 16).unwrap();
            reader.take(size).read_to_end(&mut body).unwrap();
            line(reader).expect("a chunk ends");
            if size == 0 {
                return body;
            }
        }
    }
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => reader.take(length.to_str().unwrap().parse().unwrap()).read_to_end(&mut body).unwrap(),
        None => reader.read_to_end(&mut body).unwrap(),
    };
    body
}

/// `None`: the connection was closed instead.
fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        // Closed with bytes left unread, which is a reset.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
        read => assert!(read.is_ok(), "{read:?}"),
    }
    let line = line.strip_suffix(b"\r\n")?;
    Some(String::from_utf8(line.to_vec()).unwrap())
}
