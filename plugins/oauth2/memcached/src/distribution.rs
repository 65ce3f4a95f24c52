//! [`Distribution`]: which server has a key, as libmemcached finds it.

use md5::{Digest, Md5};

use crate::{Server, Servers};

/// Which server has a key. All clients of the same servers have to agree on it, and name the servers alike: their names
/// as they are written are hashed.
///
/// Each is a ring of points, many to a server (consistent hashing). A key is on the server of the first point at or
/// behind its own hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distribution {
    /// libmemcached's `MEMCACHED_BEHAVIOR_KETAMA` with its default hash; pylibmc's `{"ketama": True}`.
    Ketama,
    /// The same with MD5; pylibmc's `{"ketama": True, "hash": "md5"}`.
    KetamaMd5,
    /// libmemcached's `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`, which has its own hash and more points, with servers of equal
    /// weight; pylibmc's `{"ketama_weighted": True}`.
    KetamaWeighted,
}

/// The points of all servers.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Each with the place of its server, in the order of their hashes.
    points: Vec<(u32, usize)>,
    distribution: Distribution,
}

impl Ring {
    pub(crate) fn new(servers: &Servers, distribution: Distribution) -> Self {
        let count = servers.iter().len();
        let mut points = Vec::new();
        for (place, server) in servers.iter().enumerate() {
            let mut add = |hash| points.push((hash, place));
            match distribution {
                Distribution::Ketama => (0..100).for_each(|i| add(one_at_a_time(name(server, i).as_bytes()))),
                Distribution::KetamaMd5 => (0..100).for_each(|i| add(md5_words(name(server, i).as_bytes())[0])),
                Distribution::KetamaWeighted => {
                    (0..weighted_names(count))
                        .for_each(|i| md5_words(name(server, i).as_bytes()).into_iter().for_each(&mut add));
                }
            }
        }
        points.sort_by_key(|(hash, _)| *hash);
        Self { points, distribution }
    }

    /// The place of the server that has this key.
    pub(crate) fn server_of(&self, key: &[u8]) -> usize {
        let hash = match self.distribution {
            Distribution::Ketama => one_at_a_time(key),
            Distribution::KetamaMd5 | Distribution::KetamaWeighted => md5_words(key)[0],
        };
        let behind = self.points.partition_point(|(point, _)| *point < hash);
        // There are servers, and so there are points.
        self.points[behind % self.points.len()].1
    }
}

/// What is hashed for one of a server's points.
fn name(server: &Server, point: usize) -> String {
    let (host, port) = (server.host(), server.port());
    if port == Server::DEFAULT_PORT { format!("{host}-{point}") } else { format!("{host}:{port}-{point}") }
}

/// How many names of each server are hashed, to four points each: 40, or 39 where libmemcached's `float` falls short of
/// that, as it does with some numbers of servers.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as it does")]
fn weighted_names(servers: usize) -> usize {
    let share = 1f32 / servers as f32;
    (f64::from(share * 160f32 / 4f32 * servers as f32) + 0.000_000_000_1).floor() as usize
}

/// Bob Jenkins' hash. As in libhashkit, bytes from 128 on are negative.
fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut hash = 0u32;
    for byte in bytes {
        hash = hash.wrapping_add_signed(i32::from(byte.cast_signed()));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// MD5, as four numbers.
fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest = u128::from_le_bytes(Md5::digest(bytes).into());
    [0, 32, 64, 96].map(|bit| (digest >> bit & u128::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Distribution; 3] = [Distribution::Ketama, Distribution::KetamaMd5, Distribution::KetamaWeighted];

    /// What pylibmc with libmemcached does.
    #[test]
    fn keys_are_where_libmemcached_looks_for_them() {
        let servers: Servers = "127.0.0.1:11311,127.0.0.1:11312,127.0.0.1:11313".parse().unwrap();
        let rings = ALL.map(|distribution| Ring::new(&servers, distribution));
        assert_eq!(one_at_a_time(b"127.0.0.1:11311-0"), 0x4069_d79c);
        assert_eq!(one_at_a_time(b"oauth2_0"), 0x8e39_c6e8);
        assert_eq!(rings[0].points[..4], [(55_620_628, 0), (68_893_965, 0), (73_945_786, 2), (82_391_780, 1)]);
        for (key, places) in [
            ("oauth2_0", [2, 2, 1]),
            ("oauth2_1", [1, 0, 0]),
            ("oauth2_2", [1, 0, 2]),
            ("oauth2_3", [2, 0, 2]),
            ("oauth2_4", [2, 1, 1]),
            ("oauth2_5", [1, 0, 1]),
            ("oauth2_6", [0, 0, 2]),
            ("oauth2_7", [2, 0, 0]),
            ("clé-1", [0, 2, 2]),
            ("oauth2:tok:0123456789abcdef", [1, 1, 1]),
        ] {
            assert_eq!(rings.each_ref().map(|ring| ring.server_of(key.as_bytes())), places, "{key}");
        }
    }

    #[test]
    fn behind_the_last_point_comes_the_first() {
        let ring = Ring { points: vec![(5, 7), (9, 8)], distribution: Distribution::Ketama };
        // The hash of nothing is 0, and that of this key is behind 9.
        assert_eq!([ring.server_of(b""), ring.server_of(b"oauth2_0")], [7, 7]);
    }

    #[test]
    fn weighted_points_fall_short_where_libmemcached_s_do() {
        assert_eq!([1, 2, 3, 5].map(weighted_names), [40; 4]);
        assert!((1..100).map(weighted_names).all(|names| matches!(names, 39 | 40)));
        assert!((1..100).any(|servers| weighted_names(servers) == 39));
    }

    #[test]
    fn one_server_has_all_keys() {
        let servers: Servers = "cache".parse().unwrap();
        for distribution in ALL {
            let ring = Ring::new(&servers, distribution);
            assert!((0..1000).all(|key: u32| ring.server_of(&key.to_le_bytes()) == 0));
        }
    }
}
