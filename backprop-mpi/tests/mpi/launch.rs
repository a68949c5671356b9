//! Starts programs under `mpirun`.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Ranks wait for each other with time-outs, so only one job runs at a time.
static ONE_JOB: Mutex<()> = Mutex::new(());

/// How a job ended.
#[derive(Debug)]
pub struct Job {
    pub success: bool,
    pub time: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Job {
    /// Returns how many lines of the output contain this text.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.stdout.lines().chain(self.stderr.lines());
        lines.filter(|line| line.contains(text)).count()
    }
}

/// Returns the path of an example of this crate, which `cargo test` builds before it runs tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let path = folder.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} does not exist: run `cargo test -p backprop-mpi`, which builds examples"
    );
    path
}

/// Returns the command that starts a program on this number of ranks.
pub fn mpirun(ranks: usize, program: &str) -> Command {
    let mut command = Command::new("mpirun");
    // More ranks than processors, and as root. Other libraries than Open MPI do not read these.
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command
        .args(["-n", &ranks.to_string()])
        .arg(example(program));
    command
}

/// Runs a job. It must end within the time, or the test fails.
pub fn run(mut command: Command, limit: Duration) -> Job {
    let _alone = ONE_JOB.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("NOT CHECKED: {command:?} cannot start ({error}); install openmpi-bin")
        });
    let stdout = reader(child.stdout.take().unwrap());
    let stderr = reader(child.stderr.take().unwrap());
    let in_time = wait(&mut child, start + limit);
    if !in_time {
        terminate(&mut child);
    }
    let job = Job {
        success: child.wait().unwrap().success(),
        time: start.elapsed(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    };
    assert!(
        in_time,
        "{command:?} did not end within {limit:?}: {job:#?}"
    );
    job
}

/// Waits for the end of a process until a time. Returns whether it ended.
fn wait(child: &mut Child, until: Instant) -> bool {
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}

/// Ends a job: `mpirun` ends its ranks on SIGTERM.
fn terminate(child: &mut Child) {
    let id = child.id().to_string();
    let _ = Command::new("kill").args(["-TERM", &id]).status();
    if !wait(child, Instant::now() + Duration::from_secs(10)) {
        let _ = child.kill();
    }
}

fn reader(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
