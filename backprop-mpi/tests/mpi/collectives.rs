//! Every collective call, on several numbers of ranks.

use crate::launch::{Job, mpirun, run};
use std::time::Duration;

fn collectives(ranks: usize, case: &str) -> Job {
    let mut command = mpirun(ranks, "collectives");
    command.arg(case);
    run(command, Duration::from_secs(300))
}

#[test]
fn random_calls_deliver_every_byte() {
    for ranks in [1, 2, 3, 4, 7] {
        let job = collectives(ranks, "check");
        let passed = job.count(&format!("of {ranks}: check passed"));
        assert!(job.success && passed == ranks, "{job:#?}");
    }
}

#[test]
fn large_pieces_arrive() {
    let job = collectives(2, "large");
    assert!(job.success && job.count("large passed") == 2, "{job:#?}");
}
