//! Inline handlers and wrappers that run for too long: they cannot be interrupted, but they are reported by name.

use std::{
    fs::{self, File},
    process::Stdio,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use token_host::{
    CreateToken, Host, StaticPlugin,
    token_plugin_api::{Call, Hooks, NoConfig, PluginError, Result, TokenHandler, Verdict},
};
use token_host_tests::{PATIENCE, Plugin, Scratch, joined, wait_until};

/// The part of a handler that waits for the file `go-on`.
const SLOW: &str = "name = 'slow', verify = 'as_told', create = 'as_told'";

fn slow(keys: &str, settings: impl Fn(&str) -> String) -> Scratch {
    let mut scratch = Scratch::new();
    let until = format!("slow_until = '{}'", scratch.join("go-on").display());
    scratch.plugin_with("store", Plugin::Hostile, keys, &settings(&until));
    scratch
}

fn slow_handler(execution: &str, keys: &str) -> Scratch {
    slow(keys, |until| format!("handlers = [{{ {SLOW}, execution = '{execution}', {until} }}]"))
}

fn slow_wrapper(keys: &str) -> Scratch {
    slow(keys, |until| {
        format!("handlers = [{{ name = 'h' }}]\nwrappers = [{{ name = 'slow', before = 'slow', {until} }}]")
    })
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

fn slow_calls(host: &Host, name: &str) -> Option<u64> {
    host.plugins().into_iter().find(|row| row.name == name).unwrap().slow_calls
}

#[test]
fn who_runs_for_too_long_is_named_in_the_log_while_it_does() {
    let handler = (slow_handler("inline", "deadline_ms = 100"), "an inline handler", "handler=\"slow\"");
    let wrapper = (slow_wrapper("deadline_ms = 100"), "a wrapper", "wrapper=\"slow\"");
    for (scratch, what, name) in [handler, wrapper] {
        let log = scratch.join("log");
        let mut command = scratch.command(["verify", "x:slow"]);
        let stderr = File::create(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let lines = |with: &str| -> Vec<String> {
            let text = fs::read_to_string(&log).unwrap();
            text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
        };
        let report = wait_until("it is reported", || lines("cannot be interrupted").pop());
        assert!(child.try_wait().unwrap().is_none(), "it is still running");
        for part in [what, name, "ERROR", "plugin=\"store\"", "running_ms=", "for over 100 ms"] {
            assert!(report.contains(part), "{part}: {report}");
        }
        assert_eq!(report.contains("register it as blocking"), what == "an inline handler", "{report}");
        scratch.file("go-on", "");
        wait_until("it is over", || child.try_wait().unwrap());
        assert_eq!(lines("cannot be interrupted").len(), 1, "once");
    }
}

#[test]
fn the_log_says_when_it_came_back() {
    let scratch = slow_handler("inline", "deadline_ms = 100");
    let log = scratch.join("log");
    let stderr = File::create(&log).unwrap();
    let mut command = scratch.command(["verify", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"x:slow\n").unwrap();
    let line = |with: &str| {
        let text = fs::read_to_string(&log).unwrap();
        text.lines().find(|line| line.contains(with)).map(str::to_owned)
    };
    wait_until("it is reported", || line("cannot be interrupted"));
    scratch.file("go-on", "");
    let back = wait_until("its return is reported", || line("came back"));
    for part in ["WARN", "plugin=\"store\"", "handler=\"slow\"", "took_ms="] {
        assert!(back.contains(part), "{part}: {back}");
    }
    drop(child.stdin.take());
    wait_until("the program ends", || child.try_wait().unwrap());
}

#[test]
fn slow_calls_are_counted_each_once() {
    let calls: [fn(&Host); 2] = [
        |host| drop(host.verify_token_blocking("x:slow").unwrap()),
        |host| drop(host.create_token_blocking(&CreateToken::new("x:slow")).unwrap()),
    ];
    for call in calls {
        let scratch = slow_handler("inline", "deadline_ms = 100");
        let host = host(&scratch);
        assert_eq!(slow_calls(&host, "slow"), Some(0));
        let calling = [(); 2].map(|()| {
            let host = host.clone();
            thread::spawn(move || call(&host))
        });
        wait_until("both are counted", || (slow_calls(&host, "slow") == Some(2)).then_some(()));
        assert!(calling.iter().all(|calling| !calling.is_finished()), "they are still running");
        // The watchdog looks at them a few times more meanwhile.
        thread::sleep(Duration::from_millis(200));
        assert_eq!(slow_calls(&host, "slow"), Some(2), "each is counted once");
        scratch.file("go-on", "");
        calling.into_iter().for_each(|calling| joined("the call", calling));
        for _ in 0..100 {
            call(&host);
        }
        assert_eq!(slow_calls(&host, "slow"), Some(2), "what is fast is not counted");
        host.reload().unwrap();
        assert_eq!(slow_calls(&host, "slow"), Some(2), "the same instance");
    }
    let scratch = slow_wrapper("deadline_ms = 100");
    let host = host(&scratch);
    let calling = {
        let host = host.clone();
        thread::spawn(move || host.verify_token_blocking("token").map(drop))
    };
    wait_until("the wrapper's call is counted", || (slow_calls(&host, "slow") == Some(1)).then_some(()));
    assert_eq!(slow_calls(&host, "h"), Some(0), "its handler has not even begun");
    scratch.file("go-on", "");
    joined("the call", calling).unwrap();
}

#[test]
fn many_fast_calls_are_not_one_slow_call() {
    let mut scratch = Scratch::new();
    let settings = "handlers = [{ name = 'brief', verify = 'slow', slow_ms = 5 }]\nwrappers = [{ name = 'w' }]";
    scratch.plugin_with("store", Plugin::Hostile, "deadline_ms = 500", settings);
    let host = host(&scratch);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1200) {
        assert!(host.verify_token_blocking("token").unwrap().is_some());
    }
    assert_eq!((slow_calls(&host, "brief"), slow_calls(&host, "w")), (Some(0), Some(0)));
}

#[test]
fn what_has_a_deadline_is_not_watched() {
    // An async handler is, for what it answers at once; what is waited for does not count.
    for (execution, expected) in [("blocking", None), ("async", Some(0))] {
        let scratch = slow_handler(execution, "deadline_ms = 60000");
        assert_eq!(slow_calls(&host(&scratch), "slow"), expected, "{execution}");
    }
}

/// Asks another host, tells so, waits to be let go on, and asks it again.
struct Asks(Host, mpsc::Sender<()>, std::sync::Mutex<mpsc::Receiver<()>>);

impl TokenHandler for Asks {
    fn name(&self) -> &str {
        "asks"
    }

    fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
        let ask = || self.0.verify_token_blocking(token).map(drop).map_err(PluginError::failed);
        ask()?;
        self.1.send(()).map_err(PluginError::failed)?;
        let go_on = self.2.lock().map_err(PluginError::failed)?;
        // A report of this call must come in spite of the calls within it, and only once.
        while go_on.try_recv().is_err() {
            thread::sleep(Duration::from_millis(5));
            ask()?;
        }
        Ok(Verdict::NotRecognized)
    }
}

#[test]
fn a_handler_that_asks_another_host_is_reported_for_itself() {
    let mut scratch = Scratch::new();
    scratch.plugin("inner", Plugin::Hostile, "handlers = [{ name = 'fast', verify = 'slow', slow_ms = 20 }]");
    let inner = host(&scratch);
    let ((asked, is_asked), (go_on, gone_on)) = (mpsc::channel(), mpsc::channel());
    let asks = std::sync::Mutex::new(Some(Asks(inner.clone(), asked, gone_on.into())));
    let register = move |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(asks.lock().map_err(PluginError::failed)?.take().ok_or_else(|| PluginError::failed("once"))?);
        Ok(())
    };
    let outer = Host::builder().plugin(StaticPlugin::new("outer", register)).build().unwrap();
    let calling = {
        let outer = outer.clone();
        thread::spawn(move || outer.verify_token_blocking("token").map(drop))
    };
    is_asked.recv_timeout(PATIENCE).unwrap();
    wait_until("the outer call is counted", || (slow_calls(&outer, "asks") == Some(1)).then_some(()));
    assert_eq!(slow_calls(&inner, "fast"), Some(0), "the inner ones are none of the other host's");
    // As long again as it took to be reported: it is not reported once more.
    thread::sleep(Duration::from_millis(1500));
    assert_eq!((slow_calls(&outer, "asks"), slow_calls(&inner, "fast")), (Some(1), Some(0)));
    go_on.send(()).unwrap();
    joined("the call", calling).unwrap();
}

#[test]
fn a_host_that_goes_does_not_wait_for_its_watchdog() {
    let scratch = slow_handler("inline", "deadline_ms = 600000");
    let start = Instant::now();
    for _ in 0..20 {
        drop(host(&scratch));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "it looks once a second: {:?}", start.elapsed());
}
