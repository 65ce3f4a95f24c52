//! [`Queue`]: what waits to be sent on a connection, and who waits for answers, in the order of both.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Error, ErrorKind, Server,
    reply::{Answer, Reply},
    request::{Question, Request},
};

/// Requests on one connection, the oldest first. A request has its place until it is answered, whether anybody waits for
/// it or not, and the number of that place.
pub(crate) struct Queue {
    server: Server,
    /// How long a request waits.
    patience: Duration,
    waiting: VecDeque<Waiting>,
    /// Of those that wait, the last so many are still in `outgoing`.
    unsent: usize,
    outgoing: Vec<u8>,
    /// How many were answered: the number of the first that waits.
    answered: u64,
    /// When the server was last heard.
    heard: Instant,
    /// Whether misses come with their number.
    numbers_misses: bool,
    closed: Option<Error>,
}

/// Who is told.
pub(crate) type Teller = oneshot::Sender<Result<Reply, Error>>;

/// Where it is told.
pub(crate) type Told = oneshot::Receiver<Result<Reply, Error>>;

/// An answer that has found who waits for it, or waited.
pub(crate) struct Delivery {
    teller: Option<Teller>,
    result: Result<Reply, Error>,
    /// For how many requests it counted.
    pub(crate) weight: u32,
}

/// When somebody should look again whether requests wait for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    At(Instant),
    WhenBusy,
    /// For too long there was no answer at all.
    Never,
}

struct Waiting {
    question: Question,
    since: Instant,
    weight: u32,
    /// None: it was told that it has waited for too long.
    teller: Option<Teller>,
}

impl Queue {
    pub(crate) fn new(server: Server, patience: Duration, now: Instant) -> Self {
        Self {
            server,
            patience,
            waiting: VecDeque::new(),
            unsent: 0,
            outgoing: Vec::new(),
            answered: 0,
            heard: now,
            numbers_misses: false,
            closed: None,
        }
    }

    /// Appends a request. Whether it is the only one that is to be sent, or that waits, goes with where its answer comes.
    pub(crate) fn push(&mut self, request: &Request<'_>, weight: u32, since: Instant) -> Result<(Told, Pushed), Error> {
        if let Some(error) = &self.closed {
            return Err(error.clone());
        }
        let pushed = Pushed { is_first_to_send: self.outgoing.is_empty(), is_first_to_wait: self.waiting.is_empty() };
        request.write_to(&mut self.outgoing, self.answered + self.waiting.len() as u64);
        let (teller, told) = oneshot::channel();
        self.waiting.push_back(Waiting { question: request.question(), since, weight, teller: Some(teller) });
        self.unsent += 1;
        Ok((told, pushed))
    }

    /// Moves all that is to be sent into an empty buffer.
    pub(crate) fn take_outgoing(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.outgoing, buffer);
        self.unsent = 0;
    }

    /// Whether a server repeats the number of a request that misses.
    pub(crate) fn set_numbers_misses(&mut self, numbers_misses: bool) {
        self.numbers_misses = numbers_misses;
    }

    /// Notes that the server was heard.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Finds who waits for an answer: the first, and no other. An error means that the connection is of no use any more.
    pub(crate) fn answer(&mut self, answer: Answer) -> Result<Delivery, Error> {
        let refusal = |what: &'static str| Error::new(ErrorKind::Protocol, what).at(&self.server);
        if self.waiting.len() == self.unsent {
            return Err(refusal("the server answered what nobody has asked"));
        }
        let first = self.waiting.front().ok_or_else(|| refusal("the server answered what nobody has asked"))?;
        let is_numbered = match answer.reply {
            Reply::Version(_) | Reply::TooLarge | Reply::OutOfMemory => false,
            Reply::Missing if first.question == Question::Get => self.numbers_misses,
            _ => true,
        };
        let is_its_number = answer.number.map_or(!is_numbered, |number| number == self.answered);
        if !first.question.takes(&answer.reply) || !is_its_number {
            return Err(refusal("the server answered another request than the one that is next"));
        }
        let (teller, weight) = match self.waiting.pop_front() {
            Some(first) => (first.teller, first.weight),
            None => (None, 0),
        };
        self.answered += 1;
        let result = match answer.reply {
            Reply::TooLarge => Err(Error::new(ErrorKind::TooLarge, "the value is too large for the server")),
            Reply::OutOfMemory => Err(Error::new(ErrorKind::Unavailable, "the server has no memory for it")),
            Reply::Oversized(bytes) => Err(Error::new(
                ErrorKind::TooLarge,
                format!("the value has {bytes} bytes, which is more than expected"),
            )),
            reply => Ok(reply),
        };
        Ok(Delivery { teller, weight, result: result.map_err(|error| error.at(&self.server)) })
    }

    /// Tells those that have waited for too long, and says when to look again.
    pub(crate) fn expire(&mut self, now: Instant) -> Look {
        let Some(first) = self.waiting.front() else { return Look::WhenBusy };
        let silent_at = first.since.max(self.heard) + self.patience;
        if silent_at <= now {
            return Look::Never;
        }
        let error = no_answer(self.patience).at(&self.server);
        // Those that were told before are at the front.
        for waiting in &mut self.waiting {
            if now < waiting.since + self.patience {
                return Look::At(silent_at.min(waiting.since + self.patience));
            }
            if let Some(teller) = waiting.teller.take() {
                // It may still be sent, when it has not been.
                let error = if waiting.question.is_write() { error.after_write() } else { error.clone() };
                drop(teller.send(Err(error)));
            }
        }
        Look::At(silent_at)
    }

    /// Tells all that wait, and all that come from now on, that the connection is closed.
    pub(crate) fn close(&mut self, error: Error) {
        if self.closed.is_some() {
            return;
        }
        let sent = self.waiting.len() - self.unsent;
        for (place, waiting) in self.waiting.drain(..).enumerate() {
            let is_ambiguous = place < sent && waiting.question.is_write();
            if let Some(teller) = waiting.teller {
                drop(teller.send(Err(if is_ambiguous { error.after_write() } else { error.clone() })));
            }
        }
        self.unsent = 0;
        self.outgoing = Vec::new();
        self.closed = Some(error);
    }

    /// Why the connection is closed, if it is.
    pub(crate) fn closed(&self) -> Option<&Error> {
        self.closed.as_ref()
    }
}

/// What a new request was the first of, so that those who care for the others have to be woken.
pub(crate) struct Pushed {
    pub(crate) is_first_to_send: bool,
    pub(crate) is_first_to_wait: bool,
}

impl Delivery {
    /// Tells who waits, if somebody still does.
    pub(crate) fn tell(self) {
        if let Some(teller) = self.teller {
            drop(teller.send(self.result));
        }
    }
}

/// For requests that have waited for so long.
pub(crate) fn no_answer(patience: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("no answer within {} ms", patience.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Servers, request::Key};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn queue(now: Instant) -> Queue {
        let servers: Servers = "cache".parse().unwrap();
        let server = servers.iter().next().unwrap().clone();
        Queue::new(server, PATIENCE, now)
    }

    fn ask(queue: &mut Queue, request: &Request<'_>, since: Instant) -> Told {
        queue.push(request, 1, since).ok().unwrap().0
    }

    fn kind(told: &mut Told) -> Option<ErrorKind> {
        told.try_recv().ok().map(|result| result.unwrap_err().kind())
    }

    fn miss(number: u64) -> Answer {
        Answer { reply: Reply::Missing, number: Some(number) }
    }

    #[test]
    fn who_waits_for_too_long_is_told_and_keeps_the_place() {
        let (start, key) = (Instant::now(), Key::new(b"k").unwrap());
        let mut queue = queue(start);
        assert_eq!(queue.expire(start), Look::WhenBusy);
        let mut tellers = [0, 1, 8].map(|second| ask(&mut queue, &Request::Get { key }, after(start, second)));
        let mut write = ask(&mut queue, &Request::Delete { key, cas: None }, after(start, 9));
        queue.take_outgoing(&mut Vec::new());
        queue.hear(after(start, 5));
        assert_eq!(queue.expire(after(start, 9)), Look::At(after(start, 10)));
        assert_eq!(
            queue.expire(after(start, 11)),
            Look::At(after(start, 15)),
            "nothing was heard since the fifth second"
        );
        assert_eq!(tellers.each_mut().map(kind), [Some(ErrorKind::TimedOut), Some(ErrorKind::TimedOut), None]);
        queue.hear(after(start, 12));
        assert_eq!(queue.expire(after(start, 19)), Look::At(after(start, 22)));
        assert_eq!([kind(&mut tellers[2]), kind(&mut write)], [Some(ErrorKind::TimedOut), Some(ErrorKind::Ambiguous)]);
        for number in 0..4 {
            assert!(queue.answer(miss(number + 1)).is_err());
            queue.answer(miss(number)).ok().unwrap().tell();
        }
        assert_eq!(queue.expire(after(start, 99)), Look::WhenBusy);
        let _last = ask(&mut queue, &Request::Version, after(start, 100));
        assert_eq!(queue.expire(after(start, 110)), Look::Never);
    }

    #[test]
    fn what_was_not_sent_when_it_is_closed_is_not_ambiguous() {
        let (start, key) = (Instant::now(), Key::new(b"k").unwrap());
        let mut queue = queue(start);
        let write = Request::Delete { key, cas: None };
        let mut sent = [ask(&mut queue, &Request::Get { key }, start), ask(&mut queue, &write, start)];
        queue.take_outgoing(&mut Vec::new());
        let mut unsent = ask(&mut queue, &write, start);
        queue.close(Error::new(ErrorKind::Unavailable, "it was lost"));
        assert_eq!(sent.each_mut().map(kind), [Some(ErrorKind::Unavailable), Some(ErrorKind::Ambiguous)]);
        assert_eq!(kind(&mut unsent), Some(ErrorKind::Unavailable));
        let refused = queue.push(&write, 1, start).err().unwrap();
        assert_eq!(refused.to_string(), "it was lost");
    }

    #[test]
    fn what_was_not_sent_is_not_answered() {
        let (start, key) = (Instant::now(), Key::new(b"k").unwrap());
        let mut queue = queue(start);
        let _told = ask(&mut queue, &Request::Get { key }, start);
        assert!(queue.answer(miss(0)).is_err());
        queue.take_outgoing(&mut Vec::new());
        assert!(queue.answer(miss(0)).is_ok());
        assert!(queue.answer(miss(1)).is_err());
    }
}
