//! The trace that a request names, in the audit log and in the log.

use serde_json::Value;
use token_host_tests::{Daemon, Plugin, Scratch, exchange};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A host with the handlers `signed` and, for tokens that begin with `down`, one that is down; and with an audit log.
fn scratch() -> Scratch {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    scratch.plugin("down", Plugin::Hostile, "handlers = [{ name = 'down', claims = ['down'], verify = 'fail' }]");
    scratch.signed("").plugin_with("audit", Plugin::Audit, "deadline_ms = 30000", "");
    scratch
}

/// Asks `/auth` with these tokens, headers and expected statuses. What was logged.
fn log(scratch: &Scratch, filter: Option<&str>, requests: &[(&str, &str, u16)]) -> String {
    let mut command = scratch.command(["serve", "--listen", "127.0.0.1:0"]);
    if let Some(filter) = filter {
        command.env("TOKEN_HOST_LOG", filter);
    }
    let mut service = Daemon::start(&mut command);
    let address = service.address();
    for (token, headers, status) in requests {
        let bearer = format!("authorization: Bearer {token}\r\nconnection: close\r\n");
        let reply = exchange(address, format!("GET /auth HTTP/1.1\r\nhost: a\r\n{bearer}{headers}\r\n"));
        assert_eq!(reply.status, *status, "{headers}");
    }
    service.terminate();
    assert!(service.end().success());
    service.log()
}

fn traceparent(version: &str) -> String {
    format!("traceparent: {version}-{TRACE}-00f067aa0ba902b7-01\r\n")
}

#[test]
fn the_audit_log_names_the_trace_of_a_request_when_there_is_one() {
    let scratch = scratch();
    let token = scratch.run(["create", "root"]).stdout.trim().to_owned();
    let (good, bad) = (traceparent("00"), traceparent("ff"));
    let requests = [good.clone(), bad, good.repeat(2), format!("x-request-id: mine\r\n{good}")];
    let requests: Vec<_> = requests.iter().map(|headers| (token.as_str(), headers.as_str(), 200)).collect();
    log(&scratch, None, &requests);
    let text = std::fs::read_to_string(scratch.join("audit.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let used = lines.filter(|line| line["event"] == "token_used");
    let ids: Vec<Value> = used.map(|line| line["context"]["request_id"].clone()).collect();
    assert_eq!(ids, [Value::from(TRACE), Value::Null, Value::Null, Value::from("mine")], "{text}");
}

#[test]
fn lines_of_the_log_name_the_trace_and_on_demand_the_request() {
    let good = traceparent("00");
    let requests = [("down_secret", good.as_str(), 403)];
    let line = |filter| {
        let log = log(&scratch(), filter, &requests);
        let line = log.lines().find(|line| line.contains("could not be judged")).map(str::to_owned);
        assert!(!log.contains("down_secret"), "{log}");
        line.unwrap_or_else(|| panic!("{log}"))
    };
    let short = line(None);
    assert!(short.contains(&format!("trace_id=\"{TRACE}\"")) && !short.contains("request{"), "{short}");
    let long = line(Some("warn,token_host=info"));
    let (spans, _) = long.split_once(": authenticate:").unwrap_or_else(|| panic!("{long}"));
    for part in ["request{", "url.path=\"/auth\"", "http.request.method=\"GET\"", "client.address=127.0.0.1", TRACE] {
        assert!(spans.contains(part), "{part}: {long}");
    }
}
