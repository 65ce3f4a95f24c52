//! What those see who watch over the service: health, readiness, metrics, and the figures of plugins.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

use token_host::{
    Host, Metric, MetricKind, StaticPlugin,
    token_plugin_api::{Hooks, NoConfig},
};
use token_host_tests::{Place, Plugin, Reply, Scratch, Served, exchange, wait_until};

fn get(served: &Served, path: &str) -> Reply {
    served.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
}

fn authenticated(served: &Served, token: &str) -> u16 {
    let request =
        format!("GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    served.exchange(request).status
}

/// The samples of a page of metrics, as it names them.
fn samples(served: &Served) -> BTreeMap<String, f64> {
    let page = get(served, "/metrics");
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let lines = page.body.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

#[test]
fn verifications_are_counted_by_handler_and_outcome() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let good = scratch.run(["create", "ann"]).stdout.trim().to_owned();
    let served = Served::start(&scratch);
    assert_eq!(authenticated(&served, &good), 200);
    assert_eq!((authenticated(&served, "dstok_x.y"), authenticated(&served, "unknown")), (401, 401));
    let samples = samples(&served);
    let count = |handler: &str, outcome: &str| {
        samples[&format!("token_host_verifications_total{{handler=\"{handler}\",outcome=\"{outcome}\"}}")]
    };
    assert_eq!((count("signed", "accepted"), count("signed", "rejected"), count("signed", "error")), (1.0, 1.0, 0.0));
    assert_eq!((count("", "not_recognized"), count("", "accepted")), (1.0, 0.0));
    let latency = |name: &str| samples[&format!("token_host_verification_seconds_{name}")];
    assert_eq!((latency("count{handler=\"signed\"}"), latency("bucket{handler=\"signed\",le=\"+Inf\"}")), (2.0, 2.0));
    assert!(latency("sum{handler=\"signed\"}") > 0.0 && latency("bucket{handler=\"signed\",le=\"1\"}") == 2.0);
    assert_eq!(samples["token_host_plugin_state{handler=\"signed\",plugin=\"signed\",state=\"serving\"}"], 1.0);
    assert_eq!(samples["token_host_plugin_state{handler=\"signed\",plugin=\"signed\",state=\"tripped\"}"], 0.0);
    assert_eq!(samples["token_host_generation"], 1.0);
    assert!(samples["token_host_http_requests_total"] >= 4.0);
    assert!(!get(&served, "/metrics").body.contains("unknown"), "no label comes from a request");
}

#[test]
fn a_plugin_tells_figures_of_itself() {
    let mut place = Place::sqlite();
    place.set("cache = { tokens = 100 }");
    let token = place.scratch.run(["create", "ann"]).stdout.trim().to_owned();
    let served = Served::start(&place.scratch);
    for _ in 0..3 {
        assert_eq!(authenticated(&served, &token), 200);
    }
    let samples = samples(&served);
    let of = |name: &str| samples[&format!("token_host_plugin_metric_{name}{{plugin=\"tokens\"}}")];
    assert_eq!((of("cache_hits_total"), of("cache_entries")), (2.0, 1.0));
    assert!(of("cache_misses_total") >= 1.0);
}

#[test]
fn figures_that_are_not_sound_are_left_out_and_a_panic_is_contained() {
    let telling = StaticPlugin::new("telling", |hooks: &mut Hooks, _: NoConfig| {
        hooks.metrics(|| {
            vec![
                Metric::counter("good_total", "A good one.", 7),
                Metric::gauge("Bad name", "", 1),
                Metric::gauge("bad_help", "two\nlines", 1),
            ]
        });
        hooks.metrics(|| (0..1000).map(|number| Metric::gauge(format!("many_{number}"), "", number)).collect());
        Ok(())
    });
    let panicking = StaticPlugin::new("panicking", |hooks: &mut Hooks, _: NoConfig| {
        hooks.metrics(|| panic!("at the disco"));
        Ok(())
    });
    let host = Host::builder().plugin(telling).plugin(panicking).build().unwrap();
    let told = host.plugin_metrics();
    assert!(told.iter().all(|(plugin, _)| plugin == "telling"));
    assert_eq!(told.len(), Metric::MOST);
    let good = &told[0].1;
    assert_eq!((good.name.as_str(), good.kind, good.value), ("good_total", MetricKind::Counter, 7));
    assert!(told.iter().all(|(_, metric)| metric.is_sound()));
}

/// The service, with its log in a file.
struct Logged {
    process: Child,
    address: SocketAddr,
    scratch: Scratch,
}

impl Logged {
    fn start(scratch: Scratch) -> Self {
        let mut command = scratch.command(["serve", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(scratch.join("log")).unwrap());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Self { process, address: address.expect("the service says where it listens"), scratch }
    }

    fn get(&self, path: &str) -> Reply {
        exchange(self.address, format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    }

    /// What the page says of plugins' own figures, after a look at whether it is a sound one: each sample once, and right
    /// behind the one line that tells its kind.
    fn told(&self) -> Vec<String> {
        let page = self.get("/metrics");
        assert_eq!(page.status, 200, "{page:?}");
        let (mut kinds, mut seen, mut of) = (BTreeSet::new(), BTreeSet::new(), "");
        for line in page.body.lines().filter(|line| !line.starts_with("# HELP")) {
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line} is there twice: {}", page.body);
            match line.strip_prefix("# TYPE ") {
                Some(kind) => {
                    of = kind.split(' ').next().unwrap();
                    assert!(kinds.insert(of), "{line}: {}", page.body);
                }
                None => assert!(line.starts_with(of), "{line} is of {of}"),
            }
        }
        let told = page.body.lines().filter(|line| line.contains("token_host_plugin_metric_"));
        told.filter(|line| !line.starts_with("# HELP"))
            .map(|line| line.replace("token_host_plugin_metric_", ""))
            .collect()
    }

    /// The lines of its log in which this stands.
    fn logged(&self, what: &str) -> Vec<String> {
        let log = fs::read_to_string(self.scratch.join("log")).unwrap();
        log.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn figure(name: &str, kind: &str, value: u64) -> String {
    format!("{{ name = '{name}', kind = '{kind}', help = 'As told.', value = {value} }}")
}

/// The settings of a plugin that tells these figures.
fn telling(figures: &[String], more: &str) -> String {
    format!("metrics = [{{ figures = [{}]{more} }}]", figures.join(", "))
}

#[test]
fn figures_that_are_told_twice_or_are_of_another_kind_are_left_out_and_that_is_said_once() {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    let twice = [figure("same", "counter", 1), figure("same", "counter", 2), figure("own", "gauge", 3)].join(", ");
    let again = [figure("same", "gauge", 4), figure("other", "gauge", 5)].join(", ");
    scratch.plugin(
        "twice",
        Plugin::Hostile,
        &format!("metrics = [{{ figures = [{twice}] }}, {{ figures = [{again}] }}]"),
    );
    scratch.plugin("third", Plugin::Hostile, &telling(&[figure("same", "counter", 6)], ""));
    let kind = [figure("own", "counter", 7), figure("same", "gauge", 8), figure("theirs", "gauge", 9)];
    scratch.plugin("kind", Plugin::Hostile, &telling(&kind, ""));
    let service = Logged::start(scratch);
    let expected = [
        "# TYPE other gauge",
        "other{plugin=\"twice\"} 5",
        "# TYPE own gauge",
        "own{plugin=\"twice\"} 3",
        "# TYPE same counter",
        "same{plugin=\"twice\"} 1",
        "same{plugin=\"third\"} 6",
        "# TYPE theirs gauge",
        "theirs{plugin=\"kind\"} 9",
    ];
    for _ in 0..3 {
        assert_eq!(service.told(), expected);
    }
    for (what, plugin) in [("it tells the metric `same` twice", "twice"), ("its metric `own` is left out", "kind")] {
        let lines = service.logged(what);
        assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(plugin), "{what}: {lines:?}");
    }
    assert_eq!(service.logged("is left out").len(), 1);
}

#[test]
fn a_plugin_that_does_not_answer_costs_its_own_figures_and_nothing_else() {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    let (go_on, journal) = (scratch.join("go-on"), scratch.journal());
    // One thread is all that its handler has.
    let handler = "handlers = [{ name = 'yes', execution = 'blocking' }]";
    let slow = telling(&[figure("slow", "gauge", 1)], &format!(", tell = 'slow', slow_until = '{}'", go_on.display()));
    let stuck = format!("{}{handler}\n{slow}", journal.setting());
    scratch.plugin_with("slow", Plugin::Hostile, "max_blocking_calls = 1", &stuck);
    scratch.plugin("hangs", Plugin::Hostile, &telling(&[figure("never", "gauge", 1)], ", tell = 'hang'"));
    scratch.plugin("panics", Plugin::Hostile, &telling(&[figure("never", "gauge", 1)], ", tell = 'panic'"));
    scratch.plugin("well", Plugin::Hostile, &telling(&[figure("well", "gauge", 2)], ""));
    let service = Logged::start(scratch);
    let well = ["# TYPE well gauge", "well{plugin=\"well\"} 2"];
    // More than there are threads that serve.
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..32).map(|_| scope.spawn(|| service.told())).collect();
        all.into_iter().for_each(|told| assert_eq!(told.join().unwrap(), well));
    });
    for _ in 0..8 {
        assert_eq!(service.told(), well);
    }
    let request = "GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(service.address, request).status, 200, "its handler answers");
    let asked = || journal.calls().iter().filter(|call| *call == "metrics tell").count();
    assert_eq!(asked(), 1, "one at a time");
    let lines = service.logged("no answer within the deadline");
    assert_eq!(lines.len(), 2, "each of them once: {lines:?}");
    assert!(["slow", "hangs"].iter().all(|plugin| lines.iter().any(|line| line.contains(plugin))), "{lines:?}");
    assert_eq!(service.logged("it was told to panic when telling").len(), 1, "and so is what fails otherwise");
    fs::write(go_on, "").unwrap();
    wait_until("the plugin tells again", || {
        service.told().contains(&"slow{plugin=\"slow\"} 1".to_owned()).then_some(())
    });
}

#[test]
fn it_is_ready_while_every_handler_can_be_asked() {
    let mut place = Place::sqlite();
    place.keys("breaker_failures = 1\nbreaker_pause_ms = 1");
    place.scratch.signed("");
    place.scratch.run(["create", "ann", "--handler", "database"]);
    let served = Served::start(&place.scratch);
    assert_eq!((get(&served, "/healthz").status, get(&served, "/healthz").body.as_str()), (200, "ok\n"));
    let ready = get(&served, "/readyz");
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()), "{ready:?}");
    let names: Vec<_> = ready.json()["handlers"].as_array().unwrap().iter().map(|h| h["handler"].clone()).collect();
    assert_eq!(names, ["signed", "database"]);
    // What stands there is no database any more.
    let file = place.file().unwrap();
    for name in place.sqlite_files().keys() {
        fs::write(place.scratch.join(name), vec![b'x'; 4096]).unwrap();
    }
    let not_ready = wait_until("the service is not ready any more", || {
        Some(get(&served, "/readyz")).filter(|reply| reply.status == 503)
    });
    let handlers = not_ready.json()["handlers"].clone();
    assert_eq!((&handlers[0]["ready"], &handlers[1]["ready"]), (&true.into(), &false.into()), "{}", file.display());
    assert_eq!(get(&served, "/healthz").status, 200, "the process is well");
}

#[test]
fn without_a_handler_it_is_not_ready() {
    let served = Served::start(&Scratch::new());
    let reply = get(&served, "/readyz");
    assert_eq!((reply.status, reply.json()["handlers"].clone()), (503, serde_json::json!([])));
    assert_eq!(get(&served, "/healthz").status, 200);
}

#[test]
fn metrics_can_be_switched_off_while_it_runs() {
    let mut scratch = Scratch::new();
    scratch.plugin("example", Plugin::Hostile, "handlers = [{ name = 'yes' }]");
    let served = Served::start(&scratch);
    assert_eq!(get(&served, "/metrics").status, 200);
    scratch.entry("[http]\nmetrics = false");
    wait_until("the page is gone", || (get(&served, "/metrics").status == 404).then_some(()));
}
