//! A collector of OpenTelemetry: what it is sent over HTTP, decoded.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;

/// A collector on a port of its own.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::default();
        let sink = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                receive(stream.unwrap(), &sink);
            }
        });
        Self { url, received }
    }

    /// All spans so far, with the attributes of who sent them.
    pub(crate) fn spans(&self) -> (BTreeMap<String, String>, Vec<Span>) {
        let received = self.received.lock().unwrap();
        let of_all = received.iter().flat_map(|request| request.resource_spans.clone());
        let (mut sender, mut spans) = (BTreeMap::new(), Vec::new());
        for of_one in of_all {
            sender.extend(attributes(&of_one.resource.unwrap().attributes));
            spans.extend(of_one.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        (sender, spans)
    }
}

/// Attributes as texts.
pub(crate) fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn receive(stream: TcpStream, sink: &Mutex<Vec<ExportTraceServiceRequest>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).unwrap() == 0 {
                return;
            }
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        sink.lock().unwrap().push(ExportTraceServiceRequest::decode(&*body).unwrap());
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}
