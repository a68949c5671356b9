//! Training on several processes gives the bits of one, also if ranks are killed.

use crate::launch::{Job, Running, example, mpirun, run, start};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Returns the line with the hash of θ of a run that succeeded.
fn theta(job: &Job) -> String {
    let line = job.stdout.lines().find(|line| line.starts_with("theta: "));
    match line {
        Some(line) if job.success => line.to_owned(),
        _ => panic!("{job:#?}"),
    }
}

/// Returns the line of a run without MPI, and how long the run takes.
fn without_mpi(threads: usize, ranks: Option<usize>) -> (String, Duration) {
    let mut command = Command::new(example("digits_without_mpi"));
    command.env("RAYON_NUM_THREADS", threads.to_string());
    if let Some(ranks) = ranks {
        command.args(["--ranks", &ranks.to_string()]);
    }
    let job = run(command, LIMIT);
    (theta(&job), job.time)
}

fn with_mpi(ranks: usize, checkpoints: Option<&Path>) -> Running {
    let mut command = mpirun(ranks, "digits_mpi");
    if let Some(folder) = checkpoints {
        command.arg("--checkpoints").arg(folder);
    }
    // One thread for an odd number of ranks, two for an even one.
    command.env("RAYON_NUM_THREADS", (2 - ranks % 2).to_string());
    start(command)
}

#[test]
fn any_number_of_ranks_gives_the_bits_of_one_process() {
    let (expected, _) = without_mpi(1, None);
    assert_eq!(without_mpi(2, None).0, expected);
    assert_eq!(without_mpi(1, Some(3)).0, expected);
    for ranks in [1, 2, 3, 4, 7] {
        let job = with_mpi(ranks, None).finish(LIMIT);
        assert_eq!(theta(&job), expected, "{ranks} ranks");
    }
}

/// A new folder.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("digits_mpi");
    let _ = fs::remove_dir_all(&folder);
    folder
}

/// Kills one rank at ten moments. Each time another number of ranks goes on from the checkpoints.
#[test]
#[cfg(target_os = "linux")]
fn killed_ranks_lose_no_bits() {
    let (expected, time) = without_mpi(1, None);
    let checkpoints = folder();
    let mut random = 7_u64;
    let mut below = |end: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % end
    };
    let (mut kills, mut resumed, mut last) = (0, 0, 0);
    while kills < 10 {
        let counts: Vec<usize> = [1, 2, 3, 4, 7].into_iter().filter(|n| *n != last).collect();
        let ranks = counts[below(counts.len())];
        last = ranks;
        let resumes = fs::read_dir(&checkpoints).is_ok_and(|mut files| files.next().is_some());
        let job = with_mpi(ranks, Some(&checkpoints));
        // `mpirun` needs some time to start them.
        sleep(Duration::from_millis(200) + time.mul_f64(below(1000) as f64 / 1000.0));
        let processes = job.ranks();
        if !processes.is_empty() {
            let process = processes[below(processes.len())].to_string();
            let _ = Command::new("kill").args(["-KILL", &process]).status();
        }
        let job = job.finish(LIMIT);
        if job.count("theta: ") == 0 {
            assert!(!job.success, "{job:#?}");
            kills += 1;
            resumed += usize::from(resumes);
            println!(
                "killed one of {ranks} ranks after {:?}; resumed: {resumes}",
                job.time
            );
        } else {
            // It had trained before it was killed.
            assert!(job.count(&expected) == 1, "{ranks} ranks: {job:#?}");
            fs::remove_dir_all(&checkpoints).unwrap();
        }
    }
    let job = with_mpi(5, Some(&checkpoints)).finish(LIMIT);
    assert_eq!(theta(&job), expected);
    assert!(resumed >= 3, "only {resumed} of {kills} runs resumed");
}
