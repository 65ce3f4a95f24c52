//! What instances leave behind is found. A program of its own: what leaks here leaks for good.
#![cfg(target_os = "linux")]

mod subject;

use subject::{Fault, assert_only, report_of};

#[test]
fn what_instances_leave_behind_is_found() {
    for (fault, message) in [
        (Fault::LeaksFiles, "more open files after "),
        (Fault::LeaksMemory, "KiB more memory after "),
        (Fault::LeaksThreads, "more threads after "),
    ] {
        assert_only(&report_of(fault), "growth", message);
    }
}
