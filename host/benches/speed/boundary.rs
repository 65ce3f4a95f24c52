//! What a call costs on its way through the host, against the same handler called directly and against the floor.

use std::hint::black_box;
use std::sync::{Mutex, mpsc};

use token_host::{CreateToken, Host, StaticPlugin};
use token_plugin_api::{Call, Hooks, NoConfig, PluginError, Result, TokenHandler, Verdict};
use token_signed::Signed;

use crate::{
    floor::{Floor, Form, now},
    libraries::{SECRET, host_of, signed_settings},
    sampler::{Effort, Series, Variant, interleave},
    table::{self, Target},
};

#[path = "../quiet/src/handler.rs"]
mod handler;
use handler::Quiet;

pub(crate) fn measure(effort: Effort) {
    let series = with_call(move |call| series(effort, call));
    let [
        quiet,
        quiet_host,
        quiet_async,
        floor,
        floor_clock,
        direct,
        host,
        host_async,
        created,
        create,
        zipped,
        zipped_host,
        restricted,
        restricted_host,
    ] = &series[..]
    else {
        unreachable!("a line for each variant")
    };
    table::section("The boundary: a handler that allocates nothing, from its library");
    table::line(quiet, Target::None);
    table::compared(quiet_host, &[("direct", quiet, Target::MoreNanoseconds(40.0))]);
    table::compared(quiet_async, &[("direct", quiet, Target::MoreNanoseconds(40.0))]);

    table::section("signed, from its library; the token says {\"a\":\"root\",\"t\":now,\"d\":3600}");
    table::line(floor, Target::None);
    table::compared(floor_clock, &[("floor", floor, Target::None)]);
    table::compared(direct, &[("floor", floor, Target::None)]);
    let against = [("direct", direct, Target::Ratio(1.10)), ("floor", floor, Target::Ratio(1.30))];
    table::compared(host, &[against[0], against[1], ("floor with clock", floor_clock, Target::None)]);
    table::compared(host_async, &against);
    table::line(created, Target::None);
    table::line(create, Target::Nanoseconds(350.0));
    for (direct, host) in [(zipped, zipped_host), (restricted, restricted_host)] {
        table::line(direct, Target::None);
        table::line(host, Target::Nanoseconds(3_000.0));
    }
}

fn series(effort: Effort, call: &Call<'_>) -> Vec<Series> {
    let floor = Floor::new(SECRET);
    let token = &floor.token(&format!(r#"{{"a":"root","t":{},"d":3600}}"#, now()), Form::Plain);
    let zipped = &floor.token(&format!(r#"{{"a":"{}","t":{}}}"#, "root/".repeat(30), now()), Form::Compressed);
    let restricted = &floor.token(&restricted_payload(), Form::Compressed);
    let request = &CreateToken::new("root").expires_after(3600);

    let signed = &Signed::new(serde_json::from_value(serde_json::json!({ "secret": SECRET })).unwrap()).unwrap();
    let signed_host = &host_of("token_signed", &signed_settings());
    let quiet_host = &host_of("token_bench_quiet", "");
    for token in [token, zipped, restricted] {
        assert!(matches!(signed.verify_token(call, token), Ok(Verdict::Accepted(_))), "the benches' token is good");
        assert!(signed_host.verify_token_blocking(token).unwrap().is_some(), "the benches' token is good");
    }
    assert_eq!(floor.verify(token, now(), &mut [0; 256]), Some("root"));
    assert_eq!(quiet_host.verify_token_blocking(token).unwrap(), None);

    let time = now();
    let mut buffer = [0; 256];
    let mut buffer_clock = [0; 256];
    let variants = vec![
        Variant::new("quiet, direct", || black_box(black_box(&Quiet).verify_token(call, black_box(token)))),
        Variant::new("quiet, through the host, blocking", || {
            black_box(quiet_host.verify_token_blocking(black_box(token)))
        }),
        awaited("quiet, through the host, async", quiet_host, token),
        Variant::new("floor: HMAC-SHA1, base64, JSON, duration", || {
            black_box(floor.verify(black_box(token), black_box(time), &mut buffer)).is_some()
        }),
        Variant::new("floor, with the clock read", || {
            black_box(floor.verify(black_box(token), now(), &mut buffer_clock)).is_some()
        }),
        Variant::new("verify, direct", || black_box(black_box(signed).verify_token(call, black_box(token)))),
        Variant::new("verify, through the host, blocking", || {
            black_box(signed_host.verify_token_blocking(black_box(token)))
        }),
        awaited("verify, through the host, async", signed_host, token),
        Variant::new("create, direct", || black_box(black_box(signed).create_token(call, black_box(request)))),
        Variant::new("create, through the host", || black_box(signed_host.create_token_blocking(black_box(request)))),
        Variant::new("verify compressed, direct", || {
            black_box(black_box(signed).verify_token(call, black_box(zipped)))
        }),
        Variant::new("verify compressed, through the host", || {
            black_box(signed_host.verify_token_blocking(black_box(zipped)))
        }),
        Variant::new("verify compressed with restrictions, direct", || {
            black_box(black_box(signed).verify_token(call, black_box(restricted)))
        }),
        Variant::new("verify compressed with restrictions, host", || {
            black_box(signed_host.verify_token_blocking(black_box(restricted)))
        }),
    ];
    interleave(effort, variants)
}

/// Verifies on a runtime, as a server does.
fn awaited<'a>(name: &str, host: &'a Host, token: &'a str) -> Variant<'a> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Variant::batched(name, move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                drop(black_box(host.verify_token(black_box(token)).await));
            }
        });
    })
}

/// Restrictions as people have them; itsdangerous compresses what gets shorter by it.
fn restricted_payload() -> String {
    let restrictions = concat!(
        r#"{"a":["vi","vd"],"d":{"one":["ir","dr"],"two":["ir","dr"],"three":["ir","dr"]},"#,
        r#""r":{"one":{"first":["ir","dr"],"second":["ir","dr"]}}}"#
    );
    format!(r#"{{"a":"root","t":{},"d":3600,"_r":{restrictions}}}"#, now())
}

/// Runs `work` with a real [`Call`], which only a host can make: inside of a handler of its own.
fn with_call<R: Send + 'static>(work: impl FnOnce(&Call<'_>) -> R + Send + 'static) -> R {
    struct Lender<W, R>(Mutex<Option<W>>, mpsc::Sender<R>);

    impl<R: Send + 'static, W: FnOnce(&Call<'_>) -> R + Send + 'static> TokenHandler for Lender<W, R> {
        fn name(&self) -> &str {
            "lender"
        }

        fn verify_token(&self, call: &Call<'_>, _: &str) -> Result<Verdict> {
            let work = self.0.lock().unwrap().take().unwrap();
            self.1.send(work(call)).map_err(PluginError::failed)?;
            Ok(Verdict::NotRecognized)
        }
    }

    let (sender, receiver) = mpsc::channel();
    let lender = Mutex::new(Some(Lender(Mutex::new(Some(work)), sender)));
    let register = move |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(lender.lock().unwrap().take().unwrap());
        Ok(())
    };
    let host = Host::builder().plugin(StaticPlugin::new("lender", register)).build().unwrap();
    host.verify_token_blocking("").unwrap();
    receiver.recv().unwrap()
}
