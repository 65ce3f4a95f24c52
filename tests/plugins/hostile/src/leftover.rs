//! What outlives its plugin: threads, and values in the thread-locals of threads, its own and the host's.

use std::{
    cell::RefCell,
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use crate::{harm::hang, journal::Journal};

/// A thread that never ends.
pub(crate) fn thread() {
    thread::spawn(|| hang());
}

/// Values in two threads' locals: this one's, which is the host's, and one's of our own, which ends after it. When
/// they are dropped, code of this library runs, however long the plugin has been gone.
pub(crate) fn locals(journal: &Journal) {
    let (sender, receiver) = mpsc::channel();
    leave(Left { whose: "the host's", journal: journal.clone(), end: End::Tells(sender) });
    let journal = journal.clone();
    thread::spawn(move || leave(Left { whose: "its own", journal, end: End::Told(receiver) }));
}

thread_local! {
    static LEFT: RefCell<Vec<Left>> = const { RefCell::new(Vec::new()) };
}

fn leave(left: Left) {
    LEFT.with_borrow_mut(|all| all.push(left));
}

struct Left {
    whose: &'static str,
    journal: Journal,
    end: End,
}

/// How the thread of our own learns that the host's has ended.
enum End {
    Tells(#[expect(dead_code, reason = "it is there to be dropped")] Sender<()>),
    Told(Receiver<()>),
}

impl Drop for Left {
    fn drop(&mut self) {
        if let End::Told(receiver) = &self.end {
            // An error is what is waited for: the sender has gone.
            let _ = receiver.recv();
        }
        // The test reads the journal; a journal that cannot be written shows there, too.
        let _ = self.journal.note("locals", "dropped", self.whose);
    }
}
