//! Ranks that fail: every job ends, and the others say why.

use crate::launch::{Job, mpirun, run};
use std::time::Duration;

/// Runs a case on 3 ranks, which wait at most 3 seconds for each other.
fn fault(case: &str) -> Job {
    let mut command = mpirun(3, "collectives");
    command.arg(case);
    run(command, Duration::from_secs(60))
}

/// Asserts that a rank that waits in vain returns `TimedOut`, is poisoned, and ends all ranks.
fn assert_timed_out(job: &Job) {
    let timed_out = "Distributed { fault: TimedOut { after: 3s } }";
    let poisoned = "Distributed { fault: Poisoned { message: \"not all ranks answered within 3s";
    assert!(!job.success, "{job:#?}");
    assert!(job.count(timed_out) >= 1, "{job:#?}");
    assert!(job.count(poisoned) >= 1, "{job:#?}");
    assert!(
        job.count("ends the processes of all ranks: not all ranks answered") >= 1,
        "{job:#?}"
    );
    assert_eq!(job.count("again:"), 0, "{job:#?}");
}

#[test]
fn a_rank_that_hangs_ends_in_a_time_out() {
    assert_timed_out(&fault("silent"));
}

/// The others drop their communicators, and wait.
#[test]
fn a_rank_that_hangs_while_others_end_is_a_time_out() {
    let job = fault("silent-end");
    let error = "ends the processes of all ranks: not all ranks answered within 3s";
    assert!(!job.success && job.count(error) >= 1, "{job:#?}");
}

#[test]
fn a_rank_that_returns_early_is_a_typed_error() {
    let job = fault("return");
    let error = "what: \"the call (0 all-to-all, 1 all-gather, 2 broadcast, 3 barrier, 4 end)\", \
                 rank: 2, expected: 1, found: 4";
    assert!(!job.success && job.count(error) >= 1, "{job:#?}");
    assert!(job.time < Duration::from_secs(30), "{job:#?}");
}

#[test]
fn a_rank_that_is_late_is_waited_for() {
    let job = fault("late");
    assert!(job.success && job.count(": ok") == 6, "{job:#?}");
}

/// `mpirun` ends the others.
#[test]
fn a_rank_that_dies_ends_the_job() {
    for case in ["kill", "exit", "panic"] {
        let job = fault(case);
        assert!(!job.success, "{case}: {job:#?}");
        assert!(job.time < Duration::from_secs(30), "{case}: {job:#?}");
        assert_eq!(job.count("again:"), 0, "{case}: {job:#?}");
    }
}

#[test]
fn a_panic_says_why_the_job_ends() {
    let job = fault("panic");
    assert_eq!(
        job.count("rank 2 ends the processes of all ranks: a panic"),
        1,
        "{job:#?}"
    );
}

#[test]
fn messages_of_other_lengths_are_typed_errors() {
    for (case, found) in [
        ("longer", 11),
        ("shorter", 9),
        ("empty", 0),
        ("much-longer", 100_000_000),
    ] {
        let job = fault(case);
        let error = format!(
            "Distributed {{ fault: Message {{ what: \"the length\", rank: 2, expected: 10, \
             found: {found} }} }}"
        );
        assert!(!job.success && job.count(&error) >= 1, "{case}: {job:#?}");
        assert!(job.count("fault: Poisoned") >= 1, "{case}: {job:#?}");
        assert_eq!(job.count("again:"), 0, "{case}: {job:#?}");
    }
    let job = fault("root");
    let error = "what: \"the length\", rank: 2, expected: 4, found: 5";
    assert!(!job.success && job.count(error) >= 1, "{job:#?}");
}

#[test]
fn different_calls_are_typed_errors() {
    let job = fault("other-call");
    let error = "what: \"the call (0 all-to-all, 1 all-gather, 2 broadcast, 3 barrier, 4 end)\", \
                 rank: 2, expected: 1, found: 2";
    assert!(!job.success && job.count(error) >= 1, "{job:#?}");
}

/// Another part of the program sends messages of its own.
#[test]
fn foreign_messages_do_not_arrive() {
    let job = fault("foreign");
    assert!(job.success && job.count(": ok") == 6, "{job:#?}");
}

/// Wrong arguments are refused before anything is sent, so the next call succeeds.
#[test]
fn wrong_arguments_are_typed_errors() {
    let job = fault("arguments");
    assert!(job.success, "{job:#?}");
    assert_eq!(job.count(": ok"), 6, "{job:#?}");
    for (error, count) in [
        ("Index { what: \"rank\", index: 3, count: 3 }", 1),
        (
            "Length { what: \"pieces to receive\", expected: 3, found: 2 }",
            1,
        ),
        (
            "Length { what: \"pieces to receive\", expected: 4, found: 3 }",
            2,
        ),
        (
            "Length { what: \"the piece that this rank sends to itself\", expected: 2, found: 1 }",
            2,
        ),
        (
            "Length { what: \"pieces to receive\", expected: 18446744073709551615, found: 3 }",
            1,
        ),
        (
            "Length { what: \"pieces to send\", expected: 18446744073709551615, found: 3 }",
            1,
        ),
    ] {
        assert_eq!(job.count(error), 3 * count, "{error}: {job:#?}");
    }
}

/// MPI is called on one thread. The refused call has no effect on later ones.
#[test]
fn calls_on_other_threads_are_typed_errors() {
    let job = fault("thread");
    assert!(job.success && job.count(": ok") == 6, "{job:#?}");
    let error =
        "Library { message: \"a call from another thread than the one that initialised MPI\" }";
    assert_eq!(job.count(error), 3, "{job:#?}");
}

/// MPI starts once in a process.
#[test]
fn a_second_communicator_is_a_typed_error() {
    let job = fault("late");
    let error = "again: Err(";
    assert_eq!(job.count(error), 3, "{job:#?}");
    assert!(
        job.count("MPI was already initialised in this process") >= 3,
        "{job:#?}"
    );
}
