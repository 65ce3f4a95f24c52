//! What a token that a database keeps costs through the host, against a bare lookup in the same file.

use std::{
    hint::black_box,
    path::Path,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use token_host::{Actors, CreateToken, Host, InvalidateTokens, TokenFilter, TokenSelector, block_on};

use crate::{
    libraries::host_of,
    sampler::{Effort, Series, Variant, interleave, percentile},
    table::{self, Target},
    threads,
};

/// KiB, and bytes: what both sides may keep in memory, and map into it.
const CACHE_KIB: u32 = 256 * 1024;
const MMAP_BYTES: u64 = 1 << 30;

/// How many tokens lie among the others that can be asked for.
const TOKENS: usize = 4_096;

pub(crate) fn measure(effort: Effort) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let others = effort.choose(1_000_000, 1_000);
    let settings = format!(
        "url = 'sqlite:{}'\nsqlite = {{ cache_kib = {CACHE_KIB}, danger_mmap_bytes = {MMAP_BYTES} }}",
        path.display()
    );
    let host = &host_of("token_database", &settings);
    let cached = &host_of("token_database", &format!("{settings}\ncache = {{ tokens = 100_000 }}"));
    let tokens = &filled(host, &path, others);
    lookups(effort, host, cached, &path, tokens, others);
    pages(host, others);
    invalidation(effort, host, &path);
    creation(effort);
}

/// Tokens that were made, among so many others.
fn filled(host: &Host, path: &Path, others: u32) -> Vec<String> {
    let made = Mutex::new(Vec::with_capacity(TOKENS));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..TOKENS / 64 {
                    let created = host.create_token_blocking(&CreateToken::new("root")).unwrap();
                    made.lock().unwrap().push(created.token);
                }
            });
        }
    });
    fill(path, others, |row| format!("user-{}", row % 1_000));
    made.into_inner().unwrap()
}

/// Adds rows of which nobody has the token. In the order of their digests, which takes a fraction of the time.
fn fill(path: &Path, rows: u32, actor: impl Fn(u32) -> String) {
    let mut digests: Vec<([u8; 32], u32)> =
        (0..rows).map(|row| (digest(&format!("{}-{row}", actor(0))), row)).collect();
    digests.sort_unstable();
    let mut connection = reader(path);
    let transaction = connection.transaction().unwrap();
    let first: i64 = transaction.query_row("SELECT max(id) FROM token_details", [], |row| row.get(0)).unwrap();
    {
        let mut details = transaction
            .prepare("INSERT INTO token_details (id, hint, updated_at, note, auto_generated) VALUES (?1, '', 0, '', 0)")
            .unwrap();
        let mut tokens = transaction
            .prepare(
                "INSERT INTO tokens (digest, id, actor_id, generator_id, created_at) \
                 VALUES (?1, ?2, ?3, 'token_host', 1700000000)",
            )
            .unwrap();
        for row in 0..rows {
            details.execute([first + 1 + i64::from(row)]).unwrap();
        }
        for (digest, row) in &digests {
            tokens.execute((digest, first + 1 + i64::from(*row), actor(*row))).unwrap();
        }
    }
    transaction.commit().unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A connection as the plugin's readers are.
fn reader(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}; PRAGMA mmap_size = {MMAP_BYTES}")).unwrap();
    connection
}

const BARE: &str = "SELECT id, actor_id, expires_at FROM tokens WHERE digest = ?1";

type Row = Option<(i64, String, Option<i64>)>;

fn bare(statement: &mut rusqlite::Statement<'_>, digest: &[u8; 32]) -> Row {
    statement.query_row([digest], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional().unwrap()
}

fn lookups(effort: Effort, host: &Host, cached: &Host, path: &Path, tokens: &[String], others: u32) {
    let digests: Vec<[u8; 32]> = tokens.iter().map(|token| digest(token)).collect();
    let connection = reader(path);
    let mut statement = connection.prepare(BARE).unwrap();
    // All of them alike: a connection that sees a page first has to map it.
    for (token, digest) in tokens.iter().zip(&digests) {
        assert!(bare(&mut statement, digest).is_some());
        assert_eq!(cached.verify_token_blocking(token).unwrap().unwrap().id(), "root");
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| tokens.iter().for_each(|token| drop(host.verify_token_blocking(token).unwrap().unwrap())));
        }
    });
    let (mut a, mut b, mut c, mut d) = (0, 0, 0, 0);
    let unknown = &"0".repeat(40);
    let variants = vec![
        Variant::new("bare prepared lookup by digest, rusqlite", || {
            a = (a + 1) % digests.len();
            black_box(bare(&mut statement, black_box(&digests[a])))
        }),
        Variant::new("verify, through the host", || {
            b = (b + 1) % tokens.len();
            black_box(host.verify_token_blocking(black_box(&tokens[b])))
        }),
        Variant::new("verify, with the cache, between lookups", || {
            c = (c + 1) % tokens.len();
            black_box(cached.verify_token_blocking(black_box(&tokens[c])))
        }),
        Variant::new("verify, no such token", || black_box(host.verify_token_blocking(black_box(unknown)))),
    ];
    let series = interleave(effort, variants);
    let [bare_lookup, verify, hit_between, miss] = &series[..] else { unreachable!("a line for each variant") };
    // Compared with nothing: as it is for a host that does this and nothing else. The copy of the library that has the
    // cache is another one than the other host's.
    let hit = interleave(
        effort,
        vec![Variant::new("verify, with the cache, alone", || {
            d = (d + 1) % tokens.len();
            black_box(cached.verify_token_blocking(black_box(&tokens[d])))
        })],
    );
    table::section(&format!("database on SQLite, from its library; {others} tokens in a file"));
    table::line(bare_lookup, Target::None);
    table::compared(verify, &[("the lookup", bare_lookup, Target::Ratio(1.5))]);
    table::line(verify, Target::Nanoseconds(5_000.0));
    table::line(hit_between, Target::None);
    hit.iter().for_each(|hit| table::line(hit, Target::Nanoseconds(500.0)));
    table::line(miss, Target::None);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let token = || &tokens[next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % tokens.len()];
    threads::compare(
        effort,
        "verify, two threads against one",
        &|| {
            drop(black_box(host.verify_token_blocking(black_box(token()))));
        },
        Target::SpeedUp(1.7),
    );
}

fn pages(host: &Host, others: u32) {
    let mut filter = TokenFilter::of(Actors::Everyone);
    filter.limit = Some(1_000);
    let mut took = Vec::new();
    loop {
        let began = Instant::now();
        let page = block_on(host.list_tokens(None, &filter)).unwrap();
        took.push(began.elapsed().as_secs_f64() * 1e9);
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    let tenth = (took.len() / 10).max(1);
    let (first, last) = (took[..tenth].to_vec(), took[took.len() - tenth..].to_vec());
    table::line(&Series::new(format!("list a page of 1,000 of {others}, the first tenth"), first), Target::None);
    table::line(&Series::new("the last tenth", last), Target::None);
}

fn invalidation(effort: Effort, host: &Host, path: &Path) {
    let tokens = effort.choose(100_000, 100);
    let rounds = effort.choose(3, 1);
    let took = (0..rounds).map(|round| {
        let actor = format!("owner-{round}");
        fill(path, tokens, |_| actor.clone());
        let filter = TokenFilter::of(Actors::These(vec![actor.clone()]));
        let request = InvalidateTokens::new(TokenSelector::Filter(filter), "measured");
        let began = Instant::now();
        let done = host.invalidate_tokens_blocking(None, &request).unwrap();
        assert_eq!(done.tokens.len(), tokens as usize);
        began.elapsed().as_secs_f64() * 1e9
    });
    table::line(&Series::new(format!("invalidate {tokens} of one actor"), took.collect()), Target::Nanoseconds(1e9));
}

/// One creator, 64 of them, and a bare insertion that is synced to the disk, in turns.
fn creation(effort: Effort) {
    let folder = tempfile::tempdir().unwrap();
    let host = &host_of("token_database", &format!("url = 'sqlite:{}'", folder.path().join("tokens.db").display()));
    let bare = Connection::open(folder.path().join("bare.db")).unwrap();
    let set_up =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (digest BLOB PRIMARY KEY) WITHOUT ROWID";
    bare.execute_batch(set_up).unwrap();
    let span = effort.choose(Duration::from_millis(200), Duration::from_millis(10));
    let create = || drop(host.create_token_blocking(&CreateToken::new("root")).unwrap());
    let (mut inserted, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.choose(20_u32, 1) {
        let mut row = 0_u32;
        inserted.push(per_second(1, span, &mut || {
            row += 1;
            bare.execute("INSERT INTO t VALUES (?1)", [digest(&format!("{round} {row}"))]).unwrap();
        }));
        one.push(rate(1, span, &create));
        many.push(rate(64, span, &create));
    }
    let nanoseconds = |rates: &[f64]| rates.iter().map(|rate| 1e9 / rate).collect::<Vec<_>>();
    let (inserted, single) = (
        Series::new("bare insertion, synced", nanoseconds(&inserted)),
        Series::new("create, one creator", nanoseconds(&one)),
    );
    table::line(&inserted, Target::None);
    table::compared(&single, &[("the insertion", &inserted, Target::None)]);
    let ratio = percentile(many.iter().zip(&one).map(|(many, one)| many / one), 50);
    let best = percentile(many.iter().zip(&one).map(|(many, one)| many / one), 100);
    table::speed_up("create, 64 creators against one", ratio, best, Target::SpeedUp(8.0));
}

fn per_second(least: u32, span: Duration, call: &mut dyn FnMut()) -> f64 {
    let (began, mut calls) = (Instant::now(), 0_u32);
    while began.elapsed() < span || calls < least {
        call();
        calls += 1;
    }
    f64::from(calls) / began.elapsed().as_secs_f64()
}

/// Calls a second, of so many threads together.
fn rate(threads: usize, span: Duration, call: &(impl Fn() + Sync)) -> f64 {
    thread::scope(|scope| {
        let count = || per_second(1, span, &mut || call());
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
